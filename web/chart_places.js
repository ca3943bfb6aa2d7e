// Where the points of a series stand when several have something at the same x: bars have a share
// of the width each; lines with deviations are moved apart by a few pixels, so that no deviation
// hides another.

const APART = 9; // CSS pixels between neighbours, where there is room
const GROUP = 0.6; // of the distance of two x: what the lines at one of them may take
const CAP = 3; // half of the ends of a deviation, where there is room
const CATEGORY = 0.8; // of the distance of two categories: what the bars of one take

const varied = series => series.error?.some(error => typeof error === 'number');

/** The place of bar `i` of `count`: its start, as a distance from its category's x, its width. */
export const barPlace = (i, count) => [CATEGORY * (i / count - 0.5), CATEGORY / count];

/** How far the lines of neighbouring series are apart, in pixels like those that `toX(value)`
 * gives; 0: they are not moved. */
export function stepOf(spec, toX, pixel = 1) {
    const count = spec.apart ? spec.series.filter(varied).length : 0;
    if (count < 2)
        return 0;
    const places = spec.x.map(toX);
    const room = Math.min(...places.slice(1).map((place, j) => place - places[j]));
    return Math.min(APART * pixel, GROUP * room / count);
}

/** The place of series `i` at `x`, in pixels like those that `toX(value)` gives. */
export function placeOf(spec, i, x, toX, pixel = 1) {
    if (spec.categories) {
        const [start, width] = barPlace(i, spec.series.length);
        return toX(x + start + width / 2);
    }
    const group = spec.series.filter(varied);
    const place = group.indexOf(spec.series[i]);
    return place < 0 ? toX(x)
        : toX(x) + (place - (group.length - 1) / 2) * stepOf(spec, toX, pixel);
}

/** Half the width of the ends of a deviation: those of neighbours do not touch. */
export function capOf(spec, toX, pixel = 1) {
    const room = spec.categories ? toX(barPlace(0, spec.series.length)[1]) - toX(0)
        : stepOf(spec, toX, pixel) || Infinity;
    return Math.max(pixel, Math.min(CAP * pixel, room / 2 - pixel));
}

// ---- the names of categories ----

const CHARACTER = 6.2; // pixels, on the mean
const TILT = -40; // degrees

/** By how much the names of categories are turned, in degrees: not at all where they fit beside
 * each other. */
export function tiltOf(spec, width) {
    const longest = Math.max(...spec.categories.map(name => name.length));
    const sides = 90; // pixels that the plot leaves to the axis
    return longest * CHARACTER + 8 > (width - sides) / spec.categories.length ? TILT : 0;
}

/** How high the names are when they are turned, in pixels. */
export function tiltHeight(spec) {
    const longest = Math.max(...spec.categories.map(name => name.length));
    return Math.ceil(longest * CHARACTER * Math.sin(-TILT * Math.PI / 180)) + 14;
}

// ---- moved lines ----

// The points that are known, in pixels of the canvas; null where there is a gap.
function pixelsOf(spec, i, plot) {
    const toX = value => plot.valToPos(value, 'x', true);
    return spec.x.map((x, j) => {
        const value = spec.series[i].values[j];
        return value === null || value === undefined ? null
            : [placeOf(spec, i, x, toX, devicePixelRatio), plot.valToPos(value, 'y', true)];
    });
}

const drawn = (stroke, fill) => ({stroke, fill, clip: null, band: null, gaps: null, flags: 0});

/** What draws the line of series `i`, as uPlot wants it. */
export const movedLine = (spec, i) => plot => {
    const path = new Path2D();
    let joined = false;
    for (const point of pixelsOf(spec, i, plot)) {
        if (point !== null)
            path[joined ? 'lineTo' : 'moveTo'](...point);
        joined = point !== null;
    }
    return drawn(path, null);
};

/** The same of its points, `size` CSS pixels wide. */
export const movedPoints = (spec, i, size) => plot => {
    const path = new Path2D();
    const radius = size * devicePixelRatio / 2;
    for (const point of pixelsOf(spec, i, plot)) {
        if (point === null)
            continue;
        path.moveTo(point[0] + radius, point[1]);
        path.arc(...point, radius, 0, 2 * Math.PI);
    }
    return drawn(path, path);
};

/** The mark on a point under the pointer, in CSS pixels. */
export function markBox(spec, size) {
    return (plot, index) => {
        const {idx} = plot.cursor;
        const value = plot.data[index][idx];
        const toX = x => plot.valToPos(x, 'x');
        if (value === null || value === undefined)
            return {left: -10, top: -10, width: 0, height: 0};
        return {left: placeOf(spec, index - 1, spec.x[idx], toX) - size / 2,
            top: plot.valToPos(value, 'y') - size / 2, width: size, height: size};
    };
}
