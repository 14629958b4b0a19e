/** Where the page is: followed by links inside it and by the browser's way back. */
class Place {
  path = $state(location.pathname);
  /** Whether a link inside the page led here: the new page's heading then takes the focus. */
  wasLed = false;

  constructor() {
    addEventListener('popstate', () => this.#arrive());
    document.addEventListener('click', (event) => {
      const link = event.target instanceof Element ? event.target.closest('a') : null;
      if (link === null || link.origin !== location.origin || link.target !== '' || link.hasAttribute('download'))
        return;
      if (link.hash !== '' && link.pathname === location.pathname) return;
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
      if (!link.hasAttribute('data-page')) return;
      // Without HTTPS the hub shows these pages only, and leads from the others to HTTPS.
      if (!isSecureContext && !['/', '/trust', '/quality'].includes(link.pathname)) return;
      event.preventDefault();
      history.pushState(null, '', link.href);
      this.#arrive();
      scrollTo(0, 0);
    });
  }

  #arrive(): void {
    this.wasLed = true;
    this.path = location.pathname;
  }
}

export const place = new Place();
