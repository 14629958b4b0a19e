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
  doctorWell: 'Aucun défaut constaté.',
  doctorFaults: 'Des défauts ont été constatés ; chaque flèche dit que faire.',
};
