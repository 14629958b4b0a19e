export { type Database, type DatabaseOptions, openDatabase, type SqlValue, type Statement } from './database.js';
