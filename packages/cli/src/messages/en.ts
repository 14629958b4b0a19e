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
  doctorWell: 'No fault was found.',
  doctorFaults: 'Faults were found; each arrow says what to do.',
};

/** The keys of every language. */
export type Messages = typeof en;
