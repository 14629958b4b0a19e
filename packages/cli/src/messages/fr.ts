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
  qualityServes: (port) => `Répond aux essais de qualité sur le port UDP ${port}. Ctrl-C pour arrêter.`,
  quality: {
    title: 'Vidéo aller et retour',
    frames: 'images montrées par seconde',
    loss: 'pertes, %',
    delay: 'délai aller et retour, ms',
    camera: 'caméra, 1920×1080, 30 images/s',
    screen: 'écran, 1920×1080, 120 images/s',
    ways: { direct: 'directement', turn: 'par TURN' },
    table: {
      shown: 'images montrées/s',
      freezes: 'gels (le plus long, ms)',
      loss: 'pertes (aller), %',
      jitter: 'gigue, ms',
      delay: 'délai (95 %), ms',
      rate: 'Mbit/s',
    },
    carries: (rate, calls) => `porte au moins ${rate} Mbit/s dans chaque sens : ${calls} appels vidéo à la fois`,
  },
};
