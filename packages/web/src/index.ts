import { fileURLToPath } from 'node:url';

/**
 * Folder of the built page: `index.html` for every address a person may open (`/`, `/trust`, `/network`, `/why`,
 * `/operator`), and `assets/`, whose names change with their content, so that they may be kept for ever.
 */
export const webFiles: string = fileURLToPath(new URL('./site/', import.meta.url));
