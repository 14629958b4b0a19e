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
  firewall: {
    heading: 'Ces ports doivent être ouverts sur cette machine :',
    none: 'Rien ne doit être ouvert : les services n’écoutent que sur cette machine.',
    why: {
      dht: 'Nœud DHT : c’est ainsi que les applications se trouvent. Fermé, elles restent hors ligne, sauf par le mandataire DHT.',
      discovery:
        'Découverte sur le réseau local, multidiffusion 239.192.0.1 et ff08::101, réponses au même port. Fermé, il faut saisir l’adresse bootstrap à la main.',
      proxy: 'Mandataire DHT : ce que les téléphones utilisent au lieu d’un nœud à eux. Fermé, ils restent hors ligne.',
      names: 'Serveur de noms. Fermé, on ne trouve les gens que par leurs 40 chiffres.',
      turn: 'Serveur TURN : le chemin entre appareils qui ne peuvent se joindre. Fermé, leurs appels et messages échouent.',
      'turn-tls': 'Serveur TURN en TLS (TCP) et DTLS (UDP), pour les réseaux qui ne laissent rien passer d’autre.',
      relay:
        'Ports de relais : ce que le serveur TURN transmet arrive ici. Un serveur à part peut en avoir moins : min-port et max-port de sa configuration.',
      portal: 'La page du hub, pour les navigateurs.',
    },
    unchanged: 'Le pare-feu est déjà comme il faut ; rien n’a été changé.',
    applied: (count) => `C’est fait ; commandes exécutées : ${count}.`,
    wouldRun: 'Voici ce qui serait exécuté :',
    untilReboot: {
      iptables:
        'Cela tient jusqu’au prochain démarrage de la machine : gardez-le avec « netfilter-persistent save ». IPv6 est une table à part (--format ip6tables).',
      ip6tables:
        'Cela tient jusqu’au prochain démarrage de la machine : gardez-le avec « netfilter-persistent save ». IPv4 est une table à part (--format iptables).',
      nftables:
        'Cela tient jusqu’au redémarrage de nftables : pour le garder, écrivez les règles affichées dans /etc/nftables.conf.',
      macos: 'Cela tient jusqu’au prochain démarrage de la machine.',
    },
  },
};
