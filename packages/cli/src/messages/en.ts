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
  qualityServes: (port: number) => `Answers quality tests on UDP port ${port}. Stop with Ctrl-C.`,
  quality: {
    title: 'Video there and back',
    frames: 'frames shown a second',
    loss: 'loss, %',
    delay: 'delay there and back, ms',
    camera: 'camera, 1920×1080, 30 frames/s',
    screen: 'screen, 1920×1080, 120 frames/s',
    ways: { direct: 'directly', turn: 'through TURN' },
    table: {
      shown: 'frames shown/s',
      freezes: 'freezes (longest, ms)',
      loss: 'loss (there), %',
      jitter: 'jitter, ms',
      delay: 'delay (95 %), ms',
      rate: 'Mbit/s',
    },
    carries: (rate: number, calls: number) => `carries at least ${rate} Mbit/s each way: ${calls} video calls at once`,
  },
};

/** The keys of every language. */
export type Messages = typeof en;
