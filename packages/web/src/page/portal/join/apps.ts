import type { JoinFacts } from '@atoll/hub';
import type { Language } from '../../language/text.js';

/** The Jami apps; the three desktop systems share one. */
export const APPS = ['android', 'ios', 'linux', 'windows', 'macos'] as const;
export type App = (typeof APPS)[number];

/** A line of an app's settings: a text to enter, or a switch. Labels are those of the app. */
type Entry = { readonly label: string; readonly value: string } | { readonly label: string; readonly isOn: boolean };

/** A place in the app with its entries. */
export interface Place {
  /** From the first screen on, as the app calls it. */
  readonly way: readonly string[];
  readonly entries: readonly Entry[];
  /** What the entries are for; a fault in one of them hurts only that. */
  readonly purpose: 'dht' | 'names' | 'turn' | 'proxy';
}

interface Words {
  readonly dhtWay: readonly string[];
  readonly bootstrap: string;
  readonly discovery: string;
  readonly namesWay: readonly string[];
  readonly names: string;
  readonly turnWay: readonly string[];
  readonly useTurn: string;
  readonly turnServer: string;
  readonly turnUser: string;
  readonly turnPassword: string;
  /** Android takes the realm from the server. */
  readonly turnRealm?: string;
  readonly proxyWay: readonly string[];
  readonly useProxy: string;
  /** A switch that stands in the way of an own address. */
  readonly proxyList?: string;
  readonly proxy: string;
}

const account = { en: 'Account Settings', fr: 'Paramètres Compte' };

/** Menus and labels as in the sources of the apps of August 2026, in both languages. */
const WORDS: Readonly<Record<'android' | 'ios' | 'desktop', Readonly<Record<Language, Words>>>> = {
  android: {
    en: {
      dhtWay: [account.en, 'Advanced', 'OpenDHT'],
      bootstrap: 'Bootstrap',
      discovery: 'Enable local peer discovery',
      namesWay: [account.en, 'Advanced', 'Name server'],
      names: 'Name server',
      turnWay: [account.en, 'Advanced', 'Peer-to-peer connectivity'],
      useTurn: 'Use TURN',
      turnServer: 'TURN server',
      turnUser: 'TURN username',
      turnPassword: 'TURN password',
      proxyWay: [account.en, 'Advanced', 'OpenDHT'],
      useProxy: 'Use DHT proxy',
      proxyList: 'Use DHT proxy list',
      proxy: 'DHT proxy address',
    },
    fr: {
      dhtWay: [account.fr, 'Avancé', 'OpenDHT'],
      bootstrap: 'Adresse du nœud d’amorçage',
      discovery: 'Activer la découverte des utilisateurs locaux',
      namesWay: [account.fr, 'Avancé', 'serveur de nom'],
      names: 'serveur de nom',
      turnWay: [account.fr, 'Avancé', 'Connectivité pair à pair'],
      useTurn: 'Utiliser TURN',
      turnServer: 'Relai TURN',
      turnUser: 'Utilisateur TURN',
      turnPassword: 'Mot de passe TURN',
      proxyWay: [account.fr, 'Avancé', 'OpenDHT'],
      useProxy: 'Utiliser un serveur délégataire',
      proxyList: 'Utiliser la liste des serveurs mandataires DHT',
      proxy: 'Adresse du serveur mandataire DHT',
    },
  },
  ios: {
    en: {
      dhtWay: ['Settings', 'Connectivity and configurations'],
      bootstrap: 'Bootstrap',
      discovery: 'Enable local peer discovery',
      namesWay: ['Settings', 'Name server'],
      names: 'Name server',
      turnWay: ['Settings', 'Connectivity and configurations', 'Connectivity'],
      useTurn: 'Enable TURN',
      turnServer: 'TURN address',
      turnUser: 'TURN username',
      turnPassword: 'TURN password',
      turnRealm: 'TURN realm',
      proxyWay: ['Settings', 'Notifications', 'Proxy'],
      useProxy: 'Enable notifications',
      proxyList: 'Use proxy list',
      proxy: 'Proxy address',
    },
    fr: {
      dhtWay: ['Paramètres', 'Connectivité et configurations'],
      bootstrap: 'Adresse du nœud d’amorçage',
      discovery: 'Activer la découverte des utilisateurs locaux',
      namesWay: ['Paramètres', 'serveur de nom'],
      names: 'serveur de nom',
      turnWay: ['Paramètres', 'Connectivité et configurations', 'Connectivité'],
      useTurn: 'Activer le relais TURN',
      turnServer: 'Adresse du serveur TURN',
      turnUser: 'Utilisateur TURN',
      turnPassword: 'Mot de passe TURN',
      turnRealm: 'Domaine TURN',
      proxyWay: ['Paramètres', 'Notifications', 'Serveur mandataire'],
      useProxy: 'Activer les notifications',
      proxyList: 'Utiliser la liste des serveurs mandataires DHT',
      proxy: 'Adresse du nœud DHT délégataire',
    },
  },
  desktop: {
    en: {
      dhtWay: ['Settings', 'Manage account', 'Advanced settings', 'OpenDHT configuration'],
      bootstrap: 'Bootstrap',
      discovery: 'Enable local peer discovery',
      namesWay: ['Settings', 'Manage account', 'Advanced settings', 'Name server'],
      names: 'Name server',
      turnWay: ['Settings', 'Manage account', 'Advanced settings', 'Connectivity'],
      useTurn: 'Use TURN',
      turnServer: 'TURN address',
      turnUser: 'TURN username',
      turnPassword: 'TURN password',
      turnRealm: 'TURN realm',
      proxyWay: ['Settings', 'Manage account', 'Advanced settings', 'OpenDHT configuration'],
      useProxy: 'Enable proxy',
      proxy: 'Proxy address',
    },
    fr: {
      dhtWay: ['Paramètres', 'Gestion du compte', 'Réglages avancés', 'Configuration d’OpenDHT'],
      bootstrap: 'Adresse du nœud d’amorçage',
      discovery: 'Activer la découverte des utilisateurs locaux',
      namesWay: ['Paramètres', 'Gestion du compte', 'Réglages avancés', 'Serveur de nom'],
      names: 'Serveur de nom',
      turnWay: ['Paramètres', 'Gestion du compte', 'Réglages avancés', 'Connectivité'],
      useTurn: 'Utiliser TURN',
      turnServer: 'Adresse du serveur TURN',
      turnUser: 'Nom d’utilisateur TURN',
      turnPassword: 'Mot de passe TURN',
      turnRealm: 'Domaine TURN',
      proxyWay: ['Paramètres', 'Gestion du compte', 'Réglages avancés', 'Configuration d’OpenDHT'],
      useProxy: 'Utiliser un nœud délégataire',
      proxy: 'Adresse du nœud délégataire DHT',
    },
  },
};

/** Where each fact of the hub is entered in an app. */
export function placesOf(app: App, language: Language, facts: JoinFacts): Place[] {
  const words = WORDS[app === 'android' || app === 'ios' ? app : 'desktop'][language];
  const places: Place[] = [
    {
      purpose: 'dht',
      way: words.dhtWay,
      entries: [
        { label: words.bootstrap, value: facts.bootstrap },
        { label: words.discovery, isOn: true },
      ],
    },
  ];
  if (facts.nameServer !== undefined) {
    places.push({ purpose: 'names', way: words.namesWay, entries: [{ label: words.names, value: facts.nameServer }] });
  }
  if (facts.turn !== undefined) {
    const { server, user, password, realm } = facts.turn;
    places.push({
      purpose: 'turn',
      way: words.turnWay,
      entries: [
        { label: words.useTurn, isOn: true },
        { label: words.turnServer, value: server },
        { label: words.turnUser, value: user },
        { label: words.turnPassword, value: password },
        ...(words.turnRealm === undefined ? [] : [{ label: words.turnRealm, value: realm }]),
      ],
    });
  }
  if (facts.proxy !== undefined) {
    places.push({
      purpose: 'proxy',
      way: words.proxyWay,
      entries: [
        { label: words.useProxy, isOn: true },
        ...(words.proxyList === undefined ? [] : [{ label: words.proxyList, isOn: false }]),
        { label: words.proxy, value: facts.proxy },
      ],
    });
  }
  return places;
}

/** The app of the device at hand, as its browser names itself. */
export function likelyApp(userAgent: string): App {
  if (/Android/.test(userAgent)) return 'android';
  if (/iPhone|iPad/.test(userAgent)) return 'ios';
  if (/Windows/.test(userAgent)) return 'windows';
  return /Macintosh/.test(userAgent) ? 'macos' : 'linux';
}
