// The theme before the first paint: the reader's choice, else what the system prefers. A plain
// script, because modules run only when the page is there.
'use strict';

(() => {
    const CHOICE = 'ptqd-theme';
    const dark = matchMedia('(prefers-color-scheme: dark)');

    function chosen() {
        try {
            return localStorage.getItem(CHOICE);
        } catch {
            return null; // storage is refused: the system's
        }
    }

    function apply() {
        const theme = chosen() ?? (dark.matches ? 'dark' : 'light');
        document.documentElement.dataset.theme = theme;
        document.dispatchEvent(new Event('themechange'));
    }

    globalThis.switchTheme = () => {
        const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
        try {
            localStorage.setItem(CHOICE, next);
        } catch {
            // for this page only
        }
        document.documentElement.dataset.theme = next;
        document.dispatchEvent(new Event('themechange'));
        return next;
    };
    dark.addEventListener('change', apply);
    apply();
})();
