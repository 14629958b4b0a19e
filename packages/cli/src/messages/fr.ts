import type { Messages } from './en.js';

/** Ce que la ligne de commande dit aux gens, en français. */
export const fr: Messages = {
  hubRuns: 'Atoll fonctionne. Dans les paramètres du compte de chaque application Jami, saisissez :',
  bootstrapLabel: 'Bootstrap (paramètres DHT)',
  proxyLabel: 'Mandataire DHT (pour les téléphones)',
  namesLabel: 'Serveur de noms',
  turnLabel: 'Serveur TURN',
  turnAs: (user, password, realm) => `(utilisateur ${user}, mot de passe ${password}, domaine ${realm})`,
  discoveryHint:
    'Sur ce réseau, les applications où la « découverte locale des pairs » est activée le trouvent seules.',
  otherAddresses: 'On le joint aussi à',
  howToStop: 'Ctrl-C pour arrêter.',
  slower: 'Les paquets réseau sont traités un par un, ce qui est plus lent :',
  stopping: 'Arrêt …',
  portalLabel: 'Portail',
  joinAt: 'Tout pour se joindre au réseau, avec un code QR, est sur la page',
  operatorLabel: 'Page de l’exploitant (ce lien ne sert qu’une fois)',
  serviceOff: 'arrêté',
  serviceWell: 'en ordre',
  serviceUnwell: 'ne répond pas',
  restarts: (count) => `relancé ${count} fois`,
  figures: (nodes, values, clients, allocations) =>
    `nœuds ${nodes}, valeurs ${values}, clients du mandataire ${clients}, allocations TURN ${allocations}`,
};
