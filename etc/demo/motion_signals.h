#pragma once

/* Synthetic accelerometer signals of people who move: windows of two seconds, three axes, in g.
 *
 * A body has an upright direction and moves periodically along three directions (up, forward,
 * sideways), with harmonics and a cadence by activity. Each subject has a cadence, a vigour and a
 * posture of its own and wears the device turned by a few degrees; each window starts at a random
 * phase and has noise. Neighbouring activities (walking and stairs, standing and cycling slowly)
 * overlap, so that no classifier is perfect.
 */

#include "ptqd/base/rng.h"

enum {
    MOTION_ACTIVITIES = 6, /* lying, standing, walking, stairs, running, cycling */
    MOTION_AXES = 3,
    MOTION_SAMPLES = 64, /* at 32 Hz */
    MOTION_VALUES = MOTION_AXES * MOTION_SAMPLES,
};

struct motion_subject {
    double cadence; /* factor on the frequency of every activity */
    double vigour;  /* factor on every amplitude */
    double slouch;  /* radians between the body's upright and gravity, when it is not lying */
    double noise;   /* g */
    double turn[MOTION_AXES][MOTION_AXES]; /* from the body's directions to the device's axes */
};

void motion_subject_init(struct motion_subject *subject, struct rng *rng);

/* One window of an activity (0 … MOTION_ACTIVITIES − 1): [MOTION_AXES][MOTION_SAMPLES]. */
void motion_window(const struct motion_subject *subject, int activity, struct rng *rng,
                   float out[static MOTION_VALUES]);
