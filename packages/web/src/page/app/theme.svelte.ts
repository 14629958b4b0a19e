const KEY = 'atoll-theme';
const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

class ChosenTheme {
  current = $state<Theme>(THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? 'auto');

  constructor() {
    this.#show();
  }

  /** The next of automatic, light, dark. */
  change(): void {
    this.current = THEMES[(THEMES.indexOf(this.current) + 1) % THEMES.length] ?? 'auto';
    localStorage.setItem(KEY, this.current);
    this.#show();
  }

  #show(): void {
    if (this.current === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.current;
  }
}

export const theme = new ChosenTheme();
