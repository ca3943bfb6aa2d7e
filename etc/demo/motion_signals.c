#include "motion_signals.h"

#include <math.h>
#include <stdbool.h>

enum { HARMONICS = 3, UP = 0, FORWARD = 1, SIDEWAYS = 2 };

static const double rate_hz = 32.0;

/* Amplitudes in g of the harmonics 1, 2, 3 of the cadence; sideways sways at half of it. */
struct activity {
    double cadence_hz;
    double up[HARMONICS], forward[HARMONICS], sway;
    double shake; /* noise of the movement itself, on top of the sensor's */
    bool lying;
};

static const struct activity activities[MOTION_ACTIVITIES] = {
    {.cadence_hz = 0.3, .up = {0.02}, .forward = {0.02}, .sway = 0.02, .lying = true},
    {.cadence_hz = 0.5, .up = {0.03}, .forward = {0.05}, .sway = 0.04, .shake = 0.02},
    {.cadence_hz = 1.85,
     .up = {0.28, 0.12, 0.04},
     .forward = {0.14, 0.10, 0.03},
     .sway = 0.10,
     .shake = 0.04},
    {.cadence_hz = 1.60,
     .up = {0.30, 0.06, 0.10},
     .forward = {0.10, 0.05, 0.08},
     .sway = 0.14,
     .shake = 0.05},
    {.cadence_hz = 2.60,
     .up = {0.60, 0.22, 0.08},
     .forward = {0.22, 0.12, 0.05},
     .sway = 0.15,
     .shake = 0.08},
    {.cadence_hz = 1.25,
     .up = {0.07, 0.05, 0.03},
     .forward = {0.10, 0.04, 0.02},
     .sway = 0.05,
     .shake = 0.06},
};

static double between(struct rng *rng, double low, double high)
{
    return low + (high - low) * rng_uniform(rng);
}

/* Turns the device by `angle` in the plane of two of its axes. */
static void turn(struct motion_subject *subject, int a, int b, double angle)
{
    for (int column = 0; column < MOTION_AXES; column++) {
        double x = subject->turn[a][column], y = subject->turn[b][column];
        subject->turn[a][column] = cos(angle) * x - sin(angle) * y;
        subject->turn[b][column] = sin(angle) * x + cos(angle) * y;
    }
}

void motion_subject_init(struct motion_subject *subject, struct rng *rng)
{
    const double loose = 0.45; /* radians that a strap may be turned */
    *subject = (struct motion_subject){
        .cadence = between(rng, 0.86, 1.16),
        .vigour = between(rng, 0.65, 1.45),
        .slouch = between(rng, -0.25, 0.45),
        .noise = between(rng, 0.03, 0.09),
    };
    for (int axis = 0; axis < MOTION_AXES; axis++)
        subject->turn[axis][axis] = 1.0;
    turn(subject, UP, FORWARD, between(rng, -loose, loose));
    turn(subject, UP, SIDEWAYS, between(rng, -loose, loose));
    turn(subject, FORWARD, SIDEWAYS, between(rng, -loose, loose));
}

/* Gravity in the body's directions: lying on the back or on a side, else upright with a slouch. */
static void put_gravity(const struct motion_subject *subject, const struct activity *activity,
                        struct rng *rng, double gravity[static MOTION_AXES])
{
    double lean = subject->slouch + 0.08 * rng_normal(rng);
    double roll = between(rng, -1.6, 1.6);
    gravity[UP] = activity->lying ? sin(0.5 * lean) : cos(lean);
    gravity[FORWARD] = activity->lying ? cos(0.5 * lean) * cos(roll) : sin(lean);
    gravity[SIDEWAYS] = activity->lying ? cos(0.5 * lean) * sin(roll) : 0.06 * rng_normal(rng);
}

/* Σ amplitude_h · sin(2π h f t + phase_h) */
static double harmonics(const double amplitudes[static HARMONICS],
                        const double phases[static HARMONICS], double cycles)
{
    double sum = 0.0;
    for (int h = 0; h < HARMONICS; h++)
        sum += amplitudes[h] * sin(2.0 * M_PI * (h + 1) * cycles + phases[h]);
    return sum;
}

void motion_window(const struct motion_subject *subject, int activity_index, struct rng *rng,
                   float out[static MOTION_VALUES])
{
    const struct activity *activity = &activities[activity_index];
    double gravity[MOTION_AXES], phases[MOTION_AXES][HARMONICS];
    put_gravity(subject, activity, rng, gravity);
    for (int axis = 0; axis < MOTION_AXES; axis++)
        for (int h = 0; h < HARMONICS; h++)
            phases[axis][h] = between(rng, 0.0, 2.0 * M_PI);
    double frequency = activity->cadence_hz * subject->cadence * (1.0 + 0.05 * rng_normal(rng));
    double vigour = subject->vigour * (1.0 + 0.15 * rng_normal(rng));

    for (int i = 0; i < MOTION_SAMPLES; i++) {
        double cycles = frequency * i / rate_hz;
        double moved[MOTION_AXES] = {
            [UP] = harmonics(activity->up, phases[UP], cycles),
            [FORWARD] = harmonics(activity->forward, phases[FORWARD], cycles),
            [SIDEWAYS] = activity->sway * sin(M_PI * cycles + phases[SIDEWAYS][0]),
        };
        double body[MOTION_AXES];
        for (int axis = 0; axis < MOTION_AXES; axis++)
            body[axis] = gravity[axis] + vigour * (moved[axis] + activity->shake * rng_normal(rng));
        for (int axis = 0; axis < MOTION_AXES; axis++) {
            double seen = subject->noise * rng_normal(rng);
            for (int from = 0; from < MOTION_AXES; from++)
                seen += subject->turn[axis][from] * body[from];
            out[axis * MOTION_SAMPLES + i] = (float)seen;
        }
    }
}
