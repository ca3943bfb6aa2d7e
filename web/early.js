// What the page will ask first, asked while its modules are on their way; api.js takes the answers.
// A plain script, because modules run only when the page is there.
'use strict';

(() => {
    // The addresses of jobs, runs and models are those of the interface; the queue has a list.
    const path = location.hash.slice(1) || '/';
    const found = path.match(/^\/(jobs|runs|models)\/((?:sha256(?::|%3A))?[\w-]+)(?:\?|$)/);
    const first = found ? `/v1/${found[1]}/${found[2].replace(':', '%3A')}`
        : path === '/' ? '/v1/jobs?limit=50' : null;

    const token = sessionStorage.getItem('ptqd-token');
    const authorization = token ? `Bearer ${token}` : undefined;
    const headers = {Accept: 'application/json', ...token && {Authorization: authorization}};
    const ask = address => {
        const answer = fetch(address, {cache: 'no-store', headers});
        answer.catch(() => {}); // who takes it is told
        return [address, {authorization, answer}];
    };
    globalThis.askedEarly = new Map(['/v1/me', first].filter(Boolean).map(ask));
})();
