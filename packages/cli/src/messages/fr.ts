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
  startingAgain: 'Redémarrage à partir de la sauvegarde…',
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
      acme: 'L’annuaire ACME vient y regarder avant de donner un certificat. Fermé, il n’y en a pas d’autorité publique.',
      mdns: 'DNS multicast, 224.0.0.251 et ff02::fb. Fermé, le hub ne se trouve pas sous le nom atoll.local et ne voit pas les autres hubs.',
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
  portMap: {
    router: (address, method, outside) =>
      `Routeur ${address} (${method}), adresse à l’extérieur : ${outside ?? 'il ne la dit pas'}`,
    mappings: 'Redirections du routeur :',
    own: 'Redirections de cette machine (ce routeur ne dit rien des autres) :',
    noMappings: 'Aucune redirection.',
    mapped: ({ transport, internalPort, externalPort }) =>
      externalPort === internalPort
        ? `${internalPort}/${transport} est ouvert à l’extérieur.`
        : `${internalPort}/${transport} est ouvert à l’extérieur au port ${externalPort}.`,
    until: (seconds) =>
      `Pour ${Math.round(seconds / 60)} minutes, sauf renouvellement : un hub avec --port-map true renouvelle tant qu’il tourne.`,
    removed: (count) => `Redirections retirées : ${count}.`,
    unknownWay: (router) => [
      `Le routeur ${router} n’indique aucune adresse sur Internet. Soit il n’est pas connecté en ce moment, soit un autre routeur se trouve entre lui et Internet.`,
      `Cherchez sur sa propre page (http://${router}/) l’adresse sous « Internet » ou « WAN » :`,
      '  - aucune : la connexion est coupée, ou le câble est dans la mauvaise prise ;',
      '  - 10.…, 172.16.… à 172.31.… ou 192.168.… : il y a un deuxième routeur ; redirigez les ports là aussi, ou mettez l’un des deux en mode pont ;',
      '  - 100.64.… à 100.127.… : le fournisseur d’accès partage une adresse entre beaucoup de clients (CGNAT) ; demandez une adresse IPv4 publique, ou utilisez IPv6.',
    ],
    secondRouter: (router, outside, page) => [
      `Il y a un deuxième routeur${page === undefined ? '' : `, ${page},`} entre ${router} et Internet : ${router} ${outside === undefined ? 'n’a pas lui-même d’adresse sur Internet' : `a pour adresse extérieure ${outside}, celle d’un réseau privé`}.`,
      'Ce qui vient d’Internet s’arrête à ce deuxième routeur. L’un de ces moyens le fait passer :',
      `  1. Le mieux : mettez l’un des deux en mode pont (« modem seul », « point d’accès »), pour qu’il ne reste qu’un routeur. Puis relancez « atoll portmap add ».`,
      `  2. Ou ouvrez la page du deuxième routeur${page === undefined ? '' : ` (http://${page}/)`} et redirigez les mêmes ports, même protocole, vers ${outside ?? `l’adresse de ${router} de son côté (sur sa page, « appareils connectés »)`} ; donnez-lui là une adresse fixe. ${outside === undefined ? `Si ${router} refuse de rediriger des ports tant qu’il n’a pas d’adresse sur Internet, redirigez-les aussi à la main sur sa page, vers cette machine.` : ''}`.trimEnd(),
      `  3. Ou indiquez-y cette adresse comme « hôte exposé » ou « DMZ » : tout passe à ${router}, qui ne laisse entrer que ce qui est redirigé.`,
      '  4. Personne ne peut régler le deuxième routeur ? Alors personne, dehors, ne joint le hub en IPv4 : utilisez IPv6, ou faites tourner un second hub là où l’on peut ouvrir des ports, et donnez son adresse avec --bootstrap.',
      'Pour vérifier, quelqu’un à l’extérieur utilise l’adresse qu’affiche une page « quelle est mon IP », avec le port.',
    ],
    carrier: (router, outside) => [
      `Le fournisseur d’accès a son propre routeur entre ${router} et Internet : ${outside === undefined ? 'une même adresse est' : `l’adresse ${outside} est`} partagée par beaucoup de clients (CGNAT).`,
      'Aucun réglage d’ici ne laisse entrer quelqu’un en IPv4. L’un de ces moyens le fait :',
      '  1. Demandez au fournisseur une adresse IPv4 publique ; beaucoup en donnent une sur demande, parfois payante.',
      '  2. Utilisez IPv6, si le fournisseur l’a : ouvrez les mêmes ports pour cette machine dans le pare-feu IPv6 du routeur.',
      '  3. Faites tourner un second hub sur une machine qui a une adresse publique, et donnez ici son adresse avec --bootstrap.',
      'À la maison, le réseau marche sans rien de tout cela.',
    ],
  },
  doctorWell: 'Aucun défaut constaté.',
  doctorFaults: 'Des défauts ont été constatés ; chaque flèche dit que faire.',
  bundleWritten: (file, bytes) =>
    `${file} : ${bytes} octets. Secrets et noms sont caviardés ; regardez-y avant de l’envoyer.`,
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
  portalLabel: 'Portail',
  trustedPageLabel: 'Page à laquelle les appareils font déjà confiance',
  certificateLabel: 'Certificat',
  certificateUntil: (subject, day, isOwn) => `${subject}, jusqu’au ${day}${isOwn ? ' (autorité propre du hub)' : ''}`,
  acmeProblem: (message, time) => `ACME : ${message} Prochain essai : ${time} UTC.`,
  joinAt: 'Tout pour se joindre au réseau, avec un code QR, est sur la page',
  operatorLabel: 'Page de l’exploitant (ce lien ne sert qu’une fois)',
  serviceOff: 'arrêté',
  serviceWell: 'en ordre',
  serviceUnwell: 'ne répond pas',
  restarts: (count) => `relancé ${count} fois`,
  figures: (nodes, values, clients, allocations) =>
    `nœuds ${nodes}, valeurs ${values}, clients du mandataire ${clients}, allocations TURN ${allocations}`,
};
