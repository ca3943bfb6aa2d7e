// Places of the nodes of a network: a layered drawing from top to bottom.
//
// 1. A node's rank is the longest path to it.
// 2. An edge over several ranks gets a bend in each rank between: it is routed beside the nodes.
// 3. The order within a rank is that of the barycentres of the neighbours, swept down and up.
// 4. The longest path is a straight line. Other places within a rank are those nearest to the
//    neighbours' that keep order and distance (least squares, by pooling of adjacent violators).
// 5. The bends of an edge come to one line where there is room.

const sweeps = 6;
const gap = 28; // between neighbours within a rank

/** nodes: [{id, inputs: [ids], width, height}] in execution order. Returns {width, height, places:
 * Map id → {x, y} (top left), edges: [{from, to, points: [{x, y}, …]}]}. */
export function layoutGraph(nodes, {rankGap = 34, margin = 12} = {}) {
    const {ranks, chains} = rankNodes(nodes);
    markSpine(ranks);
    orderRanks(ranks);
    placeRanks(ranks);
    chains.forEach(chain => straighten(chain, ranks));
    return measure(ranks, chains, rankGap, margin);
}

function rankNodes(nodes) {
    const items = new Map();
    const ranks = [];
    const put = item => {
        (ranks[item.rank] ??= []).push(item);
        return item;
    };
    for (const node of nodes) { // execution order: inputs come first
        const inputs = node.inputs.map(id => items.get(id)).filter(item => item !== undefined);
        const rank = inputs.reduce((most, input) => Math.max(most, input.rank + 1), 0);
        items.set(node.id, put({node, rank, width: node.width, height: node.height,
            above: [], below: [], x: 0}));
    }
    const chains = [];
    for (const node of nodes) {
        const item = items.get(node.id);
        for (const id of new Set(node.inputs)) {
            const start = items.get(id);
            if (start !== undefined)
                chains.push(connect(start, item, put));
        }
    }
    return {ranks, chains};
}

function connect(start, end, put) {
    const chain = [start];
    for (let rank = start.rank + 1; rank < end.rank; rank++)
        chain.push(put({node: null, rank, width: 10, height: 0, above: [], below: [], x: 0}));
    chain.push(end);
    for (let i = 1; i < chain.length; i++) {
        const weight = chain[i - 1].node === null && chain[i].node === null ? 4 : 1;
        chain[i - 1].below.push({item: chain[i], weight});
        chain[i].above.push({item: chain[i - 1], weight});
    }
    return chain;
}

// The longest path to a node of the last rank has one item in each rank.
function markSpine(ranks) {
    let item = ranks.at(-1)[0];
    while (item !== undefined) {
        item.spine = true;
        const above = item.above.map(({item: other}) => other);
        item = above.find(other => other.node !== null) ?? above[0];
    }
}

function orderRanks(ranks) {
    const number = rank => rank.forEach((item, index) => { item.order = index; });
    ranks.forEach(number);
    for (let sweep = 0; sweep < sweeps; sweep++) {
        const down = sweep % 2 === 0;
        for (const rank of down ? ranks : [...ranks].reverse()) {
            for (const item of rank) {
                const neighbours = down ? item.above : item.below;
                item.centre = mean(neighbours, other => other.order) ?? item.order;
            }
            // Of equal barycentres the node comes before the bend: skips run on the right.
            rank.sort((a, b) => a.centre - b.centre || (a.node === null) - (b.node === null) ||
                a.order - b.order);
            number(rank);
        }
    }
}

function placeRanks(ranks) {
    for (const rank of ranks)
        settle(rank, () => null);
    for (let sweep = 0; sweep < 2 * sweeps; sweep++) {
        const down = sweep % 2 === 0;
        for (const rank of down ? ranks : [...ranks].reverse())
            settle(rank, item => mean([...item.above, ...item.below], other => other.x));
    }
}

function mean(neighbours, value) {
    let sum = 0, weights = 0;
    for (const {item, weight} of neighbours) {
        sum += weight * value(item);
        weights += weight;
    }
    return weights > 0 ? sum / weights : null;
}

/** Puts the centres of a rank as near to what they want as order and distance allow. */
function settle(rank, wanted) {
    const blocks = [];
    let offset = 0;
    rank.forEach((item, index) => {
        if (index > 0)
            offset += rank[index - 1].width / 2 + gap + item.width / 2;
        item.offset = offset;
        const weight = item.spine ? 1e9 : item.node === null ? 1 : 4;
        const x = item.spine ? 0 : wanted(item) ?? item.x;
        blocks.push({sum: weight * (x - offset), weight, items: [item]});
        while (blocks.length > 1 && level(blocks.at(-2)) > level(blocks.at(-1))) {
            const last = blocks.pop(), before = blocks.at(-1);
            before.sum += last.sum;
            before.weight += last.weight;
            before.items.push(...last.items);
        }
    });
    for (const block of blocks) {
        for (const item of block.items)
            item.x = level(block) + item.offset;
    }
}

function hasRoom(item, x, rank) {
    const left = rank[item.order - 1], right = rank[item.order + 1];
    const clear = (a, b) => b === undefined ||
        Math.abs(a - b.x) >= (item.width + b.width) / 2 + gap / 2;
    return clear(x, left) && clear(x, right) && (left === undefined || left.x < x) &&
        (right === undefined || right.x > x);
}

function straighten(chain, ranks) {
    const bends = chain.slice(1, -1);
    const places = bends.map(bend => bend.x);
    for (const x of [Math.max(...places), Math.min(...places)]) {
        if (bends.every(bend => hasRoom(bend, x, ranks[bend.rank]))) {
            bends.forEach(bend => { bend.x = x; });
            return;
        }
    }
}

function level(block) {
    return block.sum / block.weight;
}

function measure(ranks, chains, rankGap, margin) {
    const all = ranks.flat();
    const left = Math.min(...all.map(item => item.x - item.width / 2)) - margin;
    const right = Math.max(...all.map(item => item.x + item.width / 2)) + margin;
    let y = margin;
    const places = new Map();
    for (const rank of ranks) {
        const height = Math.max(...rank.map(item => item.height));
        for (const item of rank) {
            item.top = y + (height - item.height) / 2;
            item.rankTop = y;
            item.rankBottom = y + height;
            if (item.node !== null)
                places.set(item.node.id, {x: item.x - item.width / 2 - left, y: item.top});
        }
        y += height + rankGap;
    }
    return {width: right - left, height: y - rankGap + margin, places,
        edges: chains.map(chain => route(chain, left))};
}

/** From the lower edge of the first node through the bends to the upper edge of the last. */
function route(chain, left) {
    const first = chain[0], last = chain.at(-1);
    const points = [{x: first.x - left, y: first.top + first.height}];
    for (const bend of chain.slice(1, -1)) {
        points.push({x: bend.x - left, y: bend.rankTop});
        points.push({x: bend.x - left, y: bend.rankBottom});
    }
    points.push({x: last.x - left, y: last.top});
    return {from: first.node.id, to: last.node.id, points};
}

/** The path of an edge: straight along the bends, and smooth between them. */
export function edgePath(points) {
    const number = value => Math.round(value * 10) / 10;
    let path = `M${number(points[0].x)} ${number(points[0].y)}`;
    for (let i = 1; i < points.length; i++) {
        const from = points[i - 1], to = points[i];
        const middle = (from.y + to.y) / 2;
        path += Math.abs(from.x - to.x) < 0.5
            ? `L${number(to.x)} ${number(to.y)}`
            : `C${number(from.x)} ${number(middle)} ${number(to.x)} ${number(middle)} ` +
              `${number(to.x)} ${number(to.y)}`;
    }
    return path;
}
