// Charts on uPlot: lines, points and bars, with error bars, a legend, the numbers behind as a
// table, and downloads. They take their colours from the style sheet and follow the theme.

import uPlot from './uplot.js';

import {barPlace, capOf, markBox, movedLine, movedPoints, placeOf, tiltHeight, tiltOf}
    from './chart_places.js';
import {chartSvg} from './chart_svg.js';
import {download, h} from './dom.js';
import {short} from './format.js';
import {table} from './table.js';

const COLORS = 8; // --series-1 … of style.css
const POINT = 6, MARK = 7; // pixels: of a point, of the one under the pointer

export const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The colour of the i-th series, or of a name such as '--failed'. */
export const color = which => css(typeof which === 'string' ? which
    : `--series-${which % COLORS + 1}`);

/** A title as the name of a file. */
export const slug = text => text.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');

// ---- downloads ----

const quote = value => {
    const text = value === null || value === undefined ? '' : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Columns are {title, value(row)}. */
export function downloadCsv(name, columns, rows) {
    const lines = [columns.map(column => quote(column.title)),
        ...rows.map(row => columns.map(column => quote(column.value(row))))];
    download(`${name}.csv`, lines.map(line => line.join(',')).join('\r\n') + '\r\n', 'text/csv');
}

// The canvas is transparent: in a file it stands on the page's colour.
function downloadPng(name, plot) {
    const from = plot.ctx.canvas;
    const canvas = h('canvas', {width: from.width, height: from.height});
    const context = canvas.getContext('2d');
    context.fillStyle = css('--surface');
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(from, 0, 0);
    canvas.toBlob(blob => download(`${name}.png`, blob), 'image/png');
}

// ---- what is drawn over a plot ----

function errorBars(spec) {
    return plot => {
        const {ctx} = plot;
        const toX = value => plot.valToPos(value, 'x', true);
        const cap = capOf(spec, toX, devicePixelRatio);
        ctx.save();
        spec.series.forEach((series, i) => {
            if (!series.error || !plot.series[i + 1].show)
                return;
            ctx.strokeStyle = color(series.color ?? i);
            ctx.lineWidth = 1.25 * devicePixelRatio;
            ctx.setLineDash([]); // a series before may have been dashed
            spec.x.forEach((x, j) => {
                const value = series.values[j];
                const error = series.error[j];
                if (value === null || value === undefined || !error)
                    return;
                const at = placeOf(spec, i, x, toX, devicePixelRatio);
                const [low, high] = [value - error, value + error]
                    .map(end => plot.valToPos(end, 'y', true));
                ctx.beginPath();
                ctx.moveTo(at, low);
                ctx.lineTo(at, high);
                for (const end of [low, high]) {
                    ctx.moveTo(at - cap, end);
                    ctx.lineTo(at + cap, end);
                }
                ctx.stroke();
            });
        });
        ctx.restore();
    };
}

/** Vertical lines: {x, label, color, solid}. */
function marks(spec) {
    return plot => {
        const {ctx, bbox} = plot;
        ctx.save();
        ctx.font = `${11 * devicePixelRatio}px ${css('--font')}`;
        for (const mark of spec.marks ?? []) {
            const at = Math.round(plot.valToPos(mark.x, 'x', true));
            if (at < bbox.left || at > bbox.left + bbox.width)
                continue;
            ctx.strokeStyle = ctx.fillStyle = color(mark.color ?? '--muted');
            ctx.lineWidth = devicePixelRatio;
            ctx.setLineDash(mark.solid ? [] : [4 * devicePixelRatio, 3 * devicePixelRatio]);
            ctx.beginPath();
            ctx.moveTo(at, bbox.top);
            ctx.lineTo(at, bbox.top + bbox.height);
            ctx.stroke();
            if (mark.label) {
                const right = at > bbox.left + bbox.width * 0.7;
                ctx.textAlign = right ? 'right' : 'left';
                ctx.fillText(mark.label, at + (right ? -4 : 4) * devicePixelRatio,
                    bbox.top + 12 * devicePixelRatio);
            }
        }
        ctx.restore();
    };
}

// A box beside the pointer with what lies under it.
function tip(spec) {
    const box = h('div', {class: 'tip', hidden: true});
    return {
        hooks: {
            init: plot => plot.over.append(box),
            setCursor: plot => {
                const {idx, left, top} = plot.cursor;
                const text = idx === null || idx === undefined || left < 0 ? ''
                    : spec.tip(idx, plot);
                box.hidden = text === '';
                if (box.hidden)
                    return;
                box.textContent = text;
                const over = plot.over.getBoundingClientRect();
                const x = left + 14 + box.offsetWidth > over.width
                    ? left - 14 - box.offsetWidth : left + 14;
                box.style.left = `${Math.max(0, x)}px`;
                box.style.top = `${Math.max(0, Math.min(top, over.height - box.offsetHeight))}px`;
            },
        },
    };
}

// ---- the plot ----

// What the ticks of an axis may be apart where not everything decimal will do.
const steps = {
    bytes: Array.from({length: 40}, (_, i) => 2 ** i),
    whole: Array.from({length: 10}, (_, i) => [1, 2, 5].map(each => each * 10 ** i)).flat(),
};

// Of the longest number beside an axis, of about 6 pixels each.
const widthOf = (plot, values) =>
    18 + 6.4 * Math.max(4, ...(values ?? []).map(value => value.length));

function axis(label, format, scale, kind) {
    return {
        ...kind && {incrs: steps[kind]},
        scale,
        label,
        labelSize: 22,
        labelFont: `12px ${css('--font')}`,
        font: `11px ${css('--font')}`,
        size: scale === 'y' ? widthOf : 34,
        gap: 6,
        stroke: () => css('--muted'),
        grid: {stroke: () => css('--grid'), width: 1},
        ticks: {stroke: () => css('--grid'), width: 1, size: 4},
        values: (plot, splits) => splits.map(value => value === null ? '' : format(value)),
    };
}

// Of names that have no room beside each other: turned, every one of them.
function categoryAxis(spec) {
    return {
        space: 16,
        rotate: plot => -tiltOf(spec, plot.width), // it counts the other way round
        size: plot => (tiltOf(spec, plot.width) === 0 ? 34 : tiltHeight(spec)),
    };
}

const known = value => typeof value === 'number' && Number.isFinite(value);

const logarithmic = on => on ? {distr: 3} : {};

// Room around the outermost points; a single value still gets an extent.
function padded(share) {
    return (plot, low, high) => {
        if (low === null || high === null)
            return [0, 1];
        const room = (high - low || Math.abs(high) || 1) * share;
        return [low - room, high + room];
    };
}

// The ends of the error bars of the series that are shown, and what is given.
function reach(spec, plot, low, high) {
    const ends = spec.series.flatMap((series, i) => series.error && plot.series[i + 1].show
        ? series.values.flatMap((value, j) => known(value) && known(series.error[j])
            ? [value - series.error[j], value + series.error[j]] : []) : []);
    return low === null ? [low, high] : [Math.min(low, ...ends), Math.max(high, ...ends)];
}

function ranges(spec) {
    const around = (plot, low, high) => padded(0.08)(plot, ...reach(spec, plot, low, high));
    const y = spec.logY ? logarithmic(true) : {range: spec.rangeY ?? around};
    const x = spec.logX ? logarithmic(true) : {range: spec.rangeX ?? padded(spec.padX ?? 0.02)};
    return {x: {time: false, ...x}, y};
}

function options(spec, width) {
    return {
        width,
        height: spec.height ?? 280,
        scales: ranges(spec),
        axes: [{...axis(spec.xlabel, spec.formatX ?? short, 'x', spec.stepsX),
            ...spec.categories && categoryAxis(spec)},
        axis(spec.ylabel, spec.formatY ?? short, 'y', spec.stepsY)],
        legend: {show: false},
        cursor: {drag: {x: true, y: false}, y: false, points: {size: MARK,
            ...(spec.apart || spec.categories) && {bbox: markBox(spec, MARK)}}},
        series: [{}, ...spec.series.map((series, i) => ({
            label: series.label,
            scale: 'y',
            stroke: () => color(series.color ?? i),
            fill: (series.fill || series.columns) &&
                (() => color(series.color ?? i) + (series.columns ? 'a0' : '33')),
            width: series.width ?? (series.columns ? 0 : 1.75),
            dash: series.dash,
            paths: series.columns ? uPlot.paths.bars({size: [1, Infinity], gap: 0})
                : series.paths ?? (spec.apart ? movedLine(spec, i) : undefined),
            spanGaps: series.spanGaps ?? false,
            points: {show: series.points ?? (!series.columns && spec.x.length <= 40),
                size: series.size ?? POINT, fill: () => color(series.color ?? i),
                ...spec.apart && {paths: movedPoints(spec, i, series.size ?? POINT)}},
        }))],
        hooks: {draw: [errorBars(spec), marks(spec)]},
        plugins: [tip(spec)],
    };
}

function legend(spec, plot) {
    if (spec.series.length < 2)
        return null;
    return h('ul', {class: 'legend'}, spec.series.map((series, i) => {
        const swatch = h('span', {class: 'swatch'});
        swatch.style.background = `var(${typeof series.color === 'string' ? series.color
            : `--series-${(series.color ?? i) % COLORS + 1}`})`;
        return h('li', null, h('button', {
            type: 'button',
            class: 'plain',
            'aria-pressed': 'true',
            onclick: event => {
                const show = !plot().series[i + 1].show;
                plot().setSeries(i + 1, {show});
                event.currentTarget.setAttribute('aria-pressed', String(show));
            },
        }, swatch, series.label));
    }));
}

function numbers(spec) {
    return h('details', {class: 'numbers'}, h('summary', null, 'Numbers'),
        table({caption: `${spec.title}: numbers`, ...spec.numbers}));
}

function tools(spec, plot) {
    const name = slug(spec.title);
    const columns = spec.numbers.columns.map(column =>
        ({title: column.title, value: column.value ?? (row => row[column.key])}));
    const button = (label, act) => h('button', {type: 'button', class: 'plain',
        'aria-label': `Download ${spec.title} as ${label}`, onclick: act}, label);
    return h('div', {class: 'tools'},
        button('CSV', () => downloadCsv(name, columns, spec.numbers.rows)),
        button('PNG', () => downloadPng(name, plot())),
        button('SVG', () => download(`${name}.svg`, chartSvg(spec, plot()), 'image/svg+xml')));
}

// The plot is made when its place has a width, drawn anew with the theme, and gone with the place.
function mount(spec, place) {
    let plot = null;
    const data = [spec.x, ...spec.series.map(series => series.values)];
    const redraw = () => place.isConnected ? plot?.redraw(false, true) : stop();
    const observer = new ResizeObserver(([entry]) => {
        const width = Math.floor(entry.contentRect.width);
        if (width === 0)
            return;
        if (plot)
            plot.setSize({width, height: spec.height ?? 280});
        else
            plot = new uPlot(options(spec, width), data, place);
        if (spec.onselect)
            plot.over.onclick = () => plot.cursor.idx !== null && spec.onselect(plot.cursor.idx);
    });
    const stop = () => {
        observer.disconnect();
        document.removeEventListener('themechange', redraw);
    };
    observer.observe(place);
    document.addEventListener('themechange', redraw);
    return () => plot;
}

function figure(spec) {
    const place = h('div', {class: 'plot', role: 'img', 'aria-label': spec.label ?? spec.title});
    const plot = mount(spec, place);
    return h('figure', {class: 'chart'},
        h('figcaption', null, h('h3', null, spec.title), tools(spec, plot)),
        spec.note && h('p', {class: 'note'}, spec.note), place, legend(spec, plot), numbers(spec));
}

// ---- the kinds ----

function seriesTip(spec, head) {
    const format = spec.formatY ?? short;
    return idx => [head(idx), ...spec.series.map(series => {
        const value = series.values[idx];
        const error = series.error?.[idx];
        return value === null || value === undefined ? null
            : `${series.label}: ${format(value)}${error ? ` ± ${format(error)}` : ''}`;
    })].filter(Boolean).join('\n');
}

function seriesNumbers(spec, first) {
    const rows = spec.x.map((x, i) => ({x, i}));
    return {rows, columns: [
        {key: 'x', title: first.title, value: row => first.value(row.i), align: first.align},
        ...spec.series.flatMap(series => [
            {key: series.label, title: series.label, align: 'right',
                value: row => series.values[row.i],
                cell: row => (spec.formatY ?? short)(series.values[row.i])},
            ...series.error ? [{key: `${series.label} ±`, title: `${series.label} ±`,
                align: 'right', value: row => series.error[row.i],
                cell: row => (spec.formatY ?? short)(series.error[row.i])}] : [],
        ]),
    ]};
}

/** {title, x: [ascending numbers], series: [{label, values, error: [± …], color, dash, points,
 * fill, columns}], apart, xlabel, ylabel, formatX, nameX(index), formatY, logX, logY, rangeX,
 * rangeY, stepsX, stepsY ('bytes' or 'whole'), height, marks: [{x, label, color, solid}], note,
 * label, onselect(index)}: an element. A missing value is null; `columns` stand side by side,
 * for x at equal distances; with `apart` lines with an error stand side by side at each x; `nameX`
 * is the name of a point where that is more than its x. */
export function line(spec) {
    const own = {...spec};
    const formatX = spec.formatX ?? short;
    const nameX = spec.nameX ?? (idx => `${spec.xlabel ?? ''} ${formatX(spec.x[idx])}`.trim());
    own.tip = seriesTip(own, nameX);
    own.numbers = spec.numbers ?? seriesNumbers(own, spec.nameX
        ? {title: 'name', value: spec.nameX}
        : {title: spec.xlabel || 'x', align: 'right', value: i => spec.x[i]});
    return figure(own);
}

/** {title, categories: [names], series: [{label, values, error, color}], xlabel, ylabel, …}. */
export function bars(spec) {
    const count = spec.series.length;
    const own = {...spec, x: spec.categories.map((name, i) => i), padX: 0,
        stepsX: 'whole'};
    own.rangeX = () => [-0.6, spec.categories.length - 0.4];
    own.rangeY = spec.rangeY ?? ((plot, low, high) => {
        const ends = reach(own, plot, low, high);
        const [least, most] = [Math.min(0, ends[0] ?? 0), Math.max(0, ends[1] ?? 1)];
        return [least - (least < 0 ? (most - least) * 0.05 : 0), most + (most - least) * 0.05];
    });
    own.series = spec.series.map((series, i) => {
        const [start, width] = barPlace(i, count);
        return {points: false, ...series, fill: true,
            paths: uPlot.paths.bars({size: [width, Infinity], align: 0, gap: 1, disp: {
                x0: {unit: 1, values: plot => plot.data[0].map(x => x + start)},
                size: {unit: 1, values: plot => plot.data[0].map(() => width * 0.94)},
            }})};
    });
    own.formatX = value => Number.isInteger(value) ? spec.categories[value] ?? '' : '';
    own.tip = seriesTip(own, idx => spec.categories[idx]);
    own.numbers = seriesNumbers(own, {title: spec.xlabel || 'name',
        value: i => spec.categories[i]});
    return figure(own);
}

// All points of all series share the x axis: each series has null where others have their points.
function spreadOut(spec) {
    const all = spec.series.flatMap((series, s) => series.points.map(point => ({...point, s})))
        .filter(point => Number.isFinite(point.x) && Number.isFinite(point.y))
        .sort((a, b) => a.x - b.x);
    const series = spec.series.map((series, s) => ({
        ...series,
        values: all.map(point => point.s === s ? point.y : null),
        error: series.points.some(point => point.error)
            ? all.map(point => point.s === s ? point.error ?? null : null) : undefined,
        paths: () => null,
        points: true,
        size: series.size ?? 8,
    }));
    return {all, series};
}

function frontOf(spec, all) {
    const front = spec.front ?? (point => point.front);
    const values = all.map(point => front(point) ? point.y : null);
    return values.some(value => value !== null)
        ? [{label: spec.frontLabel ?? 'Pareto front', values, spanGaps: true, points: false,
            dash: [5, 4], color: '--muted', paths: uPlot.paths.linear()}] : [];
}

/** {title, series: [{label, points: [{x, y, name, front, error}], color}], xlabel, ylabel, logX,
 * onselect(point), …}: points with `front` are joined by a dashed line. */
export function scatter(spec) {
    const {all, series} = spreadOut(spec);
    const formatX = spec.formatX ?? short;
    const formatY = spec.formatY ?? short;
    const own = {...spec, padX: 0.05, x: all.map(point => point.x),
        series: [...series, ...frontOf(spec, all)]};
    own.tip = idx => `${all[idx].name}\n${formatX(all[idx].x)} · ${formatY(all[idx].y)}`;
    own.onselect = spec.onselect && (idx => spec.onselect(all[idx]));
    own.numbers = {rows: all, columns: [
        {key: 'name', title: 'name'},
        {key: 's', title: 'series', value: point => spec.series[point.s].label},
        {key: 'x', title: spec.xlabel || 'x', align: 'right', cell: point => formatX(point.x)},
        {key: 'y', title: spec.ylabel || 'y', align: 'right', cell: point => formatY(point.y)},
    ]};
    return figure(own);
}
