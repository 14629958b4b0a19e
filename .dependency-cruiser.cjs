// The floors of docs/architecture.md: a package imports only from floors below its own.
const floors = [
  ['base'],
  ['udp', 'stun', 'msgpack', 'identity', 'database', 'http'],
  ['dtls'],
  ['dht', 'turn', 'ice', 'port-mapping'],
  ['dht-proxy', 'name-server', 'link'],
  ['account', 'swarm', 'call'],
  ['peer'],
  ['hub'],
  ['web'],
  ['cli'],
];

const rules = floors.map((packages, floor) => ({
  name: `floor-${floor}`,
  severity: 'error',
  comment: `packages of floor ${floor} import from lower floors only`,
  from: { path: `^packages/(${packages.join('|')})/`, pathNot: '\\.test\\.' },
  to: {
    path: `^packages/(${floors.slice(floor).flat().concat('testkit').join('|')})/`,
    // Not from another package of the same floor either, only from itself.
    pathNot: packages.length === 1 ? `^packages/${packages[0]}/` : '^packages/$1/',
  },
}));

module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    ...rules,
    {
      name: 'only-index',
      severity: 'error',
      comment: 'other packages are imported by their name, which leads to their index',
      from: { path: '^packages/([^/]+)/' },
      to: {
        path: '^packages/([^/]+)/',
        pathNot: ['^packages/$1/', '^packages/[^/]+/(dist|src)/index\\.(js|d\\.ts|ts)$'],
      },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    includeOnly: '^packages/[^/]+/(src|dist/index)',
    exclude: '\\.test\\.',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'default', 'types'] },
  },
};
