export { commonBits, compareDistance, InfoHash, lowbit, PkId } from './info-hash.js';
