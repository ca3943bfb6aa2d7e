// The drawing of a network as an SVG file: what the style sheet says of each shape is written at
// the shape, and what only a page needs is left out.

import {css} from './chart.js';
import {svg} from './dom.js';

const styles = ['fill', 'stroke', 'stroke-width', 'font-size', 'font-weight', 'text-anchor'];
const kept = ['d', 'height', 'id', 'marker-end', 'markerHeight', 'markerWidth', 'orient', 'refX',
    'refY', 'rx', 'transform', 'viewBox', 'width', 'x', 'y'];
const head = 56; // pixels above the drawing, for its title
const widthMin = 480; // that a title needs

function writeStyle(copy, drawn) {
    for (const {name} of [...copy.attributes]) {
        if (!kept.includes(name))
            copy.removeAttribute(name);
    }
    if (!['rect', 'path', 'text'].includes(copy.localName))
        return;
    const style = getComputedStyle(drawn);
    for (const name of styles) {
        if (copy.localName === 'text' || !/font|text/.test(name))
            copy.setAttribute(name, style.getPropertyValue(name));
    }
}

/** The text of the file: `drawing` as drawGraph() makes it, on the page, below `title` and
 * `note`. */
export function graphSvg(drawing, title, note) {
    const copy = drawing.cloneNode(true);
    const shapes = [...drawing.querySelectorAll('*')];
    [...copy.querySelectorAll('*')].forEach((node, i) => writeStyle(node, shapes[i]));
    const [width, height] = ['width', 'height'].map(name => Number(drawing.getAttribute(name)));
    const wide = Math.max(width, widthMin);
    const left = (width - wide) / 2;
    const place = {x: left, y: -head, width: wide, height: height + head};
    const text = (y, size, weight, fill, content) => svg('text', {x: left + 16, y,
        'font-size': size, 'font-weight': weight, fill: css(fill)}, content);
    return new XMLSerializer().serializeToString(svg('svg', {
        width: wide,
        height: height + head,
        viewBox: Object.values(place).join(' '),
        'font-family': 'Inter, sans-serif',
    },
    svg('rect', {...place, fill: css('--surface')}),
    text(28 - head, 15, 600, '--text', title), note && text(46 - head, 11.5, 400, '--muted', note),
    [...copy.childNodes]));
}
