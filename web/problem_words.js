// The problem of a failed run in words: what happened, where, and what helps.

const kinds = {
    memory: ['There was not enough memory', 'Give the job a higher memory limit, fewer ' +
        'calibration samples, or a smaller unit to optimize at once.'],
    'no-space': ['The disk of the daemon is full', 'Retry when there is room again.'],
    io: ['The daemon could not read or write one of its files', 'Its log has the reason; retry ' +
        'when that is mended.'],
    internal: ['The daemon has a bug here', 'Its log has the details. The same run will most ' +
        'likely fail again.'],
    unsupported: ['The network or the choices are not supported together', 'Change the choice ' +
        'that is named, and submit again.'],
    invalid: ['A value breaks a rule', 'Change the value that is named, and submit again.'],
    unavailable: ['The daemon was busy', 'Retry later.'],
    cancelled: ['The run was cancelled', 'Retry queues it again.'],
};

// Messages name the object in quotes: layer 'conv_1', weights of 'conv_1', unit 'block 2'.
const named = /(?:layer|unit|weights of|activation) '([^']+)'/;

/** {what, where: layer, unit or null, help, detail}; `step` is where the run was, if known. */
export function problemWords(problem, step = null) {
    const [what, help] = kinds[problem.code] ?? [problem.title ?? 'The run failed', ''];
    const layer = problem.layer ?? named.exec(problem.detail ?? '')?.[1] ?? null;
    const places = [layer === null ? null : `at ${layer}`,
        step === null ? null : `in step ${step}`];
    return {
        what,
        layer,
        where: places.filter(place => place !== null).join(', ') || null,
        help,
        detail: problem.detail ?? '',
    };
}
