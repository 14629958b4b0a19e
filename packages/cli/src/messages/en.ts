/** What the command line says to people, in English. The other languages have exactly these keys. */
export const en = {
  hubRuns: 'Atoll is running. In the account settings of each Jami app, enter:',
  bootstrapLabel: 'Bootstrap (DHT settings)',
  proxyLabel: 'DHT proxy (for phones)',
  namesLabel: 'Name server',
  turnLabel: 'TURN server',
  turnAs: (user: string, password: string, realm: string) => `(user ${user}, password ${password}, realm ${realm})`,
  discoveryHint: 'Apps on this network with “local peer discovery” switched on find it by themselves.',
  otherAddresses: 'It can also be reached at',
  howToStop: 'Stop with Ctrl-C.',
  slower: 'Network packets are handled one by one, which is slower:',
  stopping: 'Stopping …',
  portalLabel: 'Portal',
  joinAt: 'Everything to join, with a QR code, is on the page',
  operatorLabel: 'Operator’s page (this link works once)',
  serviceOff: 'off',
  serviceWell: 'well',
  serviceUnwell: 'does not answer',
  restarts: (count: number) => `started again ${count} times`,
  figures: (nodes: number, values: number, clients: number, allocations: number) =>
    `nodes ${nodes}, values ${values}, proxy clients ${clients}, TURN allocations ${allocations}`,
};

/** The keys of every language. */
export type Messages = typeof en;
