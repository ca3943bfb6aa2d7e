// A chart as an SVG file: the same scales, ticks and colours as on the page, as shapes and text.

import {color, css} from './chart.js';
import {barPlace, capOf, placeOf, tiltHeight, tiltOf} from './chart_places.js';

const FONT = 'font-family="sans-serif" font-size="11"';

const escape = text => String(text).replace(/[&<>"]/g, c =>
    ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'})[c]);

const at = value => value.toFixed(1);

// The place of the plot within the drawing, in CSS pixels.
function frame(plot) {
    const ratio = devicePixelRatio;
    const {left, top, width, height} = plot.bbox;
    return {left: left / ratio, top: top / ratio, width: width / ratio, height: height / ratio};
}

function texts(plot, index, spec) {
    const scale = plot.axes[index].scale;
    const splits = (plot.axes[index]._splits ?? []).filter(value => value !== null);
    const format = index === 0 ? spec.formatX : spec.formatY;
    const shown = plot.axes[index].values(plot, splits) ?? splits.map(format);
    return splits.map((value, i) => [plot.valToPos(value, scale), shown[i]]);
}

function axes(plot, spec, box) {
    const muted = css('--muted');
    const grid = css('--grid');
    const parts = [];
    const bottom = box.top + box.height;
    const tilt = spec.categories ? tiltOf(spec, plot.width) : 0;
    for (const [x, text] of texts(plot, 0, spec)) {
        const place = box.left + x;
        const turned = tilt === 0 ? `x="${at(place)}" y="${at(bottom + 16)}" text-anchor="middle"`
            : `transform="translate(${at(place + 3)} ${at(bottom + 14)}) rotate(${tilt})"` +
                ' text-anchor="end"';
        parts.push(`<line x1="${at(place)}" y1="${at(box.top)}" x2="${at(place)}"` +
            ` y2="${at(bottom)}" stroke="${grid}"/>`,
        `<text ${turned} fill="${muted}" ${FONT}>${escape(text)}</text>`);
    }
    for (const [y, text] of texts(plot, 1, spec)) {
        const place = box.top + y;
        parts.push(`<line x1="${at(box.left)}" y1="${at(place)}" x2="${at(box.left + box.width)}"` +
            ` y2="${at(place)}" stroke="${grid}"/>`,
        `<text x="${at(box.left - 8)}" y="${at(place + 4)}" text-anchor="end" fill="${muted}"` +
            ` ${FONT}>${escape(text)}</text>`);
    }
    const middle = box.top + box.height / 2;
    const below = bottom + (tilt === 0 ? 34 : tiltHeight(spec) + 14);
    parts.push(`<text x="${at(box.left + box.width / 2)}" y="${at(below)}"` +
        ` text-anchor="middle" fill="${muted}" ${FONT}>${escape(spec.xlabel ?? '')}</text>`,
    `<text transform="translate(12 ${at(middle)}) rotate(-90)" text-anchor="middle"` +
        ` fill="${muted}" ${FONT}>${escape(spec.ylabel ?? '')}</text>`);
    return parts;
}

function errorBar(plot, x, spec, i, j, box, stroke) {
    const series = spec.series[i];
    const error = series.error?.[j];
    if (!error)
        return '';
    const cap = capOf(spec, value => plot.valToPos(value, 'x'));
    const [low, high] = [series.values[j] - error, series.values[j] + error]
        .map(value => at(box.top + plot.valToPos(value, 'y')));
    return `<path d="M${at(x)} ${low}V${high}M${at(x - cap)} ${low}h${at(2 * cap)}` +
        `M${at(x - cap)} ${high}h${at(2 * cap)}" stroke="${stroke}" fill="none"/>`;
}

function bar(plot, spec, i, j, box, fill) {
    const [start, share] = barPlace(i, spec.series.length);
    const from = plot.valToPos(j + start, 'x');
    const width = plot.valToPos(j + start + share, 'x') - from;
    const [y, zero] = [spec.series[i].values[j], 0].map(value => plot.valToPos(value, 'y'));
    return `<rect x="${at(box.left + from)}" y="${at(box.top + Math.min(y, zero))}"` +
        ` width="${at(width * 0.94)}" height="${at(Math.abs(zero - y))}" fill="${fill}"/>`;
}

// Columns are as wide as their x are apart, down to the axis.
function column(plot, spec, j, py, box, fill) {
    const [first, second] = spec.x;
    const half = second === undefined ? box.width / 4
        : (plot.valToPos(second, 'x') - plot.valToPos(first, 'x')) / 2;
    const middle = box.left + plot.valToPos(spec.x[j], 'x');
    return `<rect x="${at(middle - half)}" y="${at(py)}" width="${at(2 * half)}"` +
        ` height="${at(Math.max(0, box.top + box.height - py))}" fill="${fill}"/>`;
}

function marks(plot, spec, box) {
    return (spec.marks ?? []).map(mark => {
        const stroke = color(mark.color ?? '--muted');
        const x = box.left + plot.valToPos(mark.x, 'x');
        const right = x > box.left + box.width * 0.7;
        const text = mark.label ? `<text x="${at(x + (right ? -4 : 4))}" y="${at(box.top + 12)}"` +
            ` text-anchor="${right ? 'end' : 'start'}" fill="${stroke}" ${FONT}>` +
            `${escape(mark.label)}</text>` : '';
        return `<path d="M${at(x)} ${at(box.top)}v${at(box.height)}" stroke="${stroke}"` +
            `${mark.solid ? '' : ' stroke-dasharray="4 3"'}/>${text}`;
    });
}

function drawSeries(plot, spec, series, i, box) {
    const stroke = color(series.color ?? i);
    const parts = [];
    let path = '';
    let joined = false;
    spec.x.forEach((value, j) => {
        const y = series.values[j];
        if (y === null || y === undefined) {
            joined &&= Boolean(series.spanGaps);
            return;
        }
        const px = box.left + placeOf(spec, i, value, x => plot.valToPos(x, 'x'));
        if (spec.categories) {
            parts.push(bar(plot, spec, i, j, box, stroke),
                errorBar(plot, px, spec, i, j, box, stroke));
            return;
        }
        const py = box.top + plot.valToPos(y, 'y');
        if (series.columns) {
            parts.push(column(plot, spec, j, py, box, stroke));
            return;
        }
        path += `${joined ? 'L' : 'M'}${at(px)} ${at(py)}`;
        joined = true;
        if (series.points ?? spec.x.length <= 40)
            parts.push(`<circle cx="${at(px)}" cy="${at(py)}" r="3" fill="${stroke}"/>`);
        parts.push(errorBar(plot, px, spec, i, j, box, stroke));
    });
    const isPoints = series.points === true && series.paths;
    if (path && !isPoints)
        parts.unshift(`<path d="${path}" fill="none" stroke="${stroke}" stroke-width="1.75"` +
            `${series.dash ? ` stroke-dasharray="${series.dash.join(' ')}"` : ''}/>`);
    return parts;
}

function legend(spec, box, y) {
    let x = box.left;
    return spec.series.map((series, i) => {
        const text = `<rect x="${at(x)}" y="${at(y - 9)}" width="10" height="10"` +
            ` fill="${color(series.color ?? i)}"/><text x="${at(x + 15)}" y="${at(y)}"` +
            ` fill="${css('--text')}" ${FONT}>${escape(series.label)}</text>`;
        x += 40 + 6.5 * series.label.length;
        return text;
    });
}

/** The text of the file. */
export function chartSvg(spec, plot) {
    const box = frame(plot);
    const title = 28;
    const height = plot.height + title + (spec.series.length > 1 ? 24 : 0);
    const drawn = spec.series.flatMap((series, i) =>
        plot.series[i + 1].show ? drawSeries(plot, spec, series, i, box) : []);
    return [
        `<svg xmlns="http://www.w3.org/2000/svg" width="${plot.width}" height="${height}">`,
        `<rect width="100%" height="100%" fill="${css('--surface')}"/>`,
        `<text x="${at(box.left)}" y="18" fill="${css('--text')}" font-family="sans-serif"` +
            ` font-size="14" font-weight="600">${escape(spec.title)}</text>`,
        `<g transform="translate(0 ${title})">`,
        ...axes(plot, spec, box), ...drawn, ...marks(plot, spec, box),
        ...spec.series.length > 1 ? legend(spec, box, plot.height + 10) : [],
        '</g></svg>', '',
    ].join('\n');
}
