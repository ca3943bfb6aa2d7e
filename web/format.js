// Numbers and times as people read them. What is not known is a dash.

export const NOTHING = '–';
const SPACE = '\u00a0'; // between a number and its unit
const MINUS = '\u2212';

const known = value => typeof value === 'number' && Number.isFinite(value);

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

// Written out: the first format that a browser makes (Intl) takes a tenth of the first view.

/** With `digits` behind the point, thousands apart. */
export function number(value, digits = 0) {
    if (!known(value))
        return NOTHING;
    const [whole, ...rest] = Math.abs(value).toFixed(digits).split('.');
    const text = [whole.replace(/\B(?=(\d{3})+$)/g, '\u202f'), ...rest].join('.');
    return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

/** About three significant digits, whatever the size: 0.00412, 3.14, 1 234. */
export function short(value) {
    if (!known(value))
        return NOTHING;
    if (value === 0)
        return '0';
    const size = Math.floor(Math.log10(Math.abs(value)));
    if (size < -4 || size > 8)
        return value.toExponential(2).replace('-', MINUS);
    return number(value, Math.max(0, 2 - size));
}

/** Gives a format with the digits that tell these values apart. */
export function distinct(values) {
    const most = Math.max(...values.map(Math.abs));
    const extent = Math.max(...values) - Math.min(...values);
    const lost = extent > 0 && most > 0 ? Math.ceil(Math.log10(most / extent)) : 0;
    return value => lost < 1 || !known(value) || value === 0 ? short(value)
        : String(Number(value.toPrecision(Math.min(2 + lost, 9)))).replace('-', MINUS);
}

function scaled(value, base, units, digits) {
    if (!known(value))
        return NOTHING;
    let step = 0;
    while (Math.abs(value) >= base && step < units.length - 1) {
        value /= base;
        step++;
    }
    const places = step === 0 ? 0 : Math.abs(value) < 10 ? digits + 1 : digits;
    return number(value, places) + SPACE + units[step];
}

/** 812 B, 14.2 KiB, 3.05 MiB. */
export const bytes = value => scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], 1);

/** Bit operations: 3.20 M, 1.15 G. */
export const bops = value => scaled(value, 1000, ['', 'k', 'M', 'G', 'T'], 1).trim();

/** Counts of MACs and parameters, like bops. */
export const count = bops;

/** A fraction as a percentage: 91.2 %. */
export function percent(value, digits = 1) {
    return known(value) ? number(100 * value, digits) + SPACE + '%' : NOTHING;
}

/** An accuracy from 0 to 1. */
export const accuracy = (value, digits = 1) => percent(value, digits);

/** Mean and deviation of accuracies, without the unit: 91.2 ± 0.3. */
export function spread(mean, deviation, digits = 1) {
    if (!known(mean))
        return NOTHING;
    if (!known(deviation))
        return number(100 * mean, digits);
    return `${number(100 * mean, digits)}${SPACE}±${SPACE}${number(100 * deviation, digits)}`;
}

/** Points of accuracy, with the sign: +0.4, −2.1. */
export function points(value, digits = 1) {
    if (!known(value))
        return NOTHING;
    return (value > 0 ? '+' : '') + number(100 * value, digits);
}

export const decibel = value => known(value) ? number(value, 1) + SPACE + 'dB' : NOTHING;

/** Seconds: 40 ms, 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 4 d 3 h. */
export function duration(seconds) {
    if (!known(seconds))
        return NOTHING;
    if (seconds < 0.1)
        return number(1000 * seconds) + SPACE + 'ms';
    if (seconds < 10)
        return number(seconds, 1) + SPACE + 's';
    const whole = Math.round(seconds);
    const parts = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
    const first = parts.findIndex(([, size]) => whole >= size);
    return parts.slice(first, first + 2).map(([unit, size], i) => {
        const amount = Math.floor(whole / size) % (i === 0 ? Infinity : parts[first][1] / size);
        return i === 1 && amount === 0 ? null : amount + SPACE + unit;
    }).filter(Boolean).join(' ');
}

/** An RFC 3339 time in the reader's zone: 27 Nov, 23:10:04. */
export function time(text) {
    if (!text)
        return NOTHING;
    const date = new Date(text);
    const year = date.getFullYear();
    const day = [date.getDate(), MONTHS[date.getMonth()],
        ...year === new Date().getFullYear() ? [] : [year]].join(' ');
    const clock = [date.getHours(), date.getMinutes(), date.getSeconds()]
        .map(part => String(part).padStart(2, '0')).join(':');
    return `${day}, ${clock}`;
}

/** How long ago a time was: just now, 5 min ago, 3 d ago. */
export function ago(text) {
    if (!text)
        return NOTHING;
    const seconds = (Date.now() - new Date(text).getTime()) / 1000;
    if (seconds < 45)
        return 'just now';
    return `${duration(seconds).split(' ')[0]} ago`;
}

/** The short form of "sha256:…". */
export const digest = id => id ? id.replace(/^sha256:/, '').slice(0, 10) : NOTHING;

/** Choices of a variant in words: "weights.bits 4 · optimize.variable round". */
export function choices(object) {
    const list = Object.entries(object ?? {});
    if (list.length === 0)
        return 'defaults';
    return list.map(([name, value]) => `${name}${SPACE}${value}`).join(' · ');
}

/** The plural of a word where there is not one of it: "1 run", "12 runs". */
export const plural = (amount, word) =>
    `${number(amount)}${SPACE}${word}${amount === 1 ? '' : 's'}`;

/** "accuracy" as a title begins with it. */
export const headline = text => text[0].toUpperCase() + text.slice(1);
