import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [svelte()],
  build: {
    outDir: 'dist/site',
    emptyOutDir: true,
    // The page's policy allows nothing inline, not even data URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // Timings of the build are of no interest to those who start a hub.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
});
