export { type FindOptions, findGateway } from './find-gateway.js';
export type { Gateway, ListedMapping, Mapping, MappingMethod, Transport, WantedMapping } from './gateway.js';
export { LIFETIME_SECONDS, type MapperOptions, PortMapper, type WantedPort } from './port-mapper.js';
export { type WayOutside, wayOutside } from './way-outside.js';
