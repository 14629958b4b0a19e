import type { FindingId, FindingText } from './en.js';

/** Tout ce que le docteur sait constater, en français. */
export const fr: Record<FindingId, FindingText> = {
  'addresses-good': { sentence: 'Cette machine a l’adresse {addresses}.' },
  'no-address': {
    sentence: 'Cette machine n’a aucune adresse réseau, hormis sa propre boucle locale.',
    remedy: 'Branchez le câble ou rejoignez le Wi-Fi, et vérifiez que le routeur attribue des adresses (DHCP).',
  },
  'only-container-address': {
    sentence:
      'Cette machine n’a que l’adresse {addresses}, qui n’existe qu’à l’intérieur d’un ordinateur : les autres ne peuvent pas la joindre.',
    remedy: 'Donnez au conteneur le réseau de l’hôte (docker run --network host), ou lancez Atoll hors du conteneur.',
  },
  'multicast-good': { sentence: 'La découverte locale fonctionne : {hosts} a répondu au groupe {group}.' },
  'multicast-alone': {
    sentence: 'Personne d’autre n’a répondu au groupe {group} ; c’est normal si ce hub est seul sur son réseau.',
    remedy: 'S’il y en a d’autres, lancez atoll doctor sur l’un d’eux : il dira si ce hub y est entendu.',
  },
  'multicast-blocked': {
    sentence: '{host} répond quand on l’interroge directement, mais rien de ce qui est dit au groupe {group} ne passe.',
    remedy:
      'Laissez passer l’UDP vers {group} port 8888 dans le pare-feu, et désactivez « l’isolation des clients » ou le « filtrage multicast » (IGMP snooping sans querier) du point d’accès et du commutateur.',
  },
  'discovery-silent': {
    sentence:
      'Personne ne répond à la découverte locale sur le port UDP 8888, ni dans le groupe {group} ni chez {host}.',
    remedy:
      'Laissez entrer et sortir le port UDP 8888, et gardez peer-discovery activé ; les applications qui connaissent le bootstrap trouvent le hub sans cela.',
  },
  'hub-not-running': {
    sentence: 'Aucun hub ne tourne avec le répertoire d’état {state}.',
    remedy: 'Lancez-le avec atoll up, ou indiquez par --state le répertoire d’état du hub qui tourne.',
  },
  'no-hub-found': {
    sentence: 'Aucun hub n’a été indiqué, et aucun n’a été trouvé sur ce réseau.',
    remedy: 'Indiquez-le par --hub ADRESSE, ou laissez passer le port UDP 8888 pour qu’il soit trouvé.',
  },
  'port-taken': {
    sentence: 'Le port {transport} {port} du service {service} est pris par {program}.',
    remedy: 'Arrêtez ce programme, ou donnez un autre port au service avec --{setting}.',
  },
  'dht-good': { sentence: 'La DHT en {address} a gardé une valeur et l’a rendue.' },
  'dht-closed': {
    sentence: 'Rien n’écoute sur le port UDP {port} de {host} : le nœud DHT n’y tourne pas.',
    remedy: 'Lancez le hub sur {host}, ou corrigez le port du bootstrap dans les applications.',
  },
  'dht-silent': {
    sentence: 'Le nœud DHT en {address} ne répond pas.',
    remedy:
      'Laissez entrer le port UDP {port} sur {host} (atoll firewall écrit les règles), et vérifiez que {host} est allumé.',
  },
  'dht-stores-nothing': {
    sentence: 'Le nœud DHT en {address} répond, mais une valeur qu’on y a mise ne revient pas.',
    remedy: 'Regardez le journal du hub et sa mémoire ; si son stockage est plein, relancez-le.',
  },
  'bootstrap-good': { sentence: 'Le nœud de bootstrap {address} répond.' },
  'bootstrap-silent': {
    sentence: 'Le nœud de bootstrap {address} ne répond pas.',
    remedy: 'Relancez-le, ou retirez-le du réglage bootstrap.',
  },
  'bootstrap-unresolved': {
    sentence: 'Le nom du nœud de bootstrap {address} ne mène à aucune adresse.',
    remedy: 'Écrivez son adresse IP dans le réglage bootstrap, ou corrigez le nom dans votre DNS.',
  },
  'proxy-good': { sentence: 'Le mandataire DHT {url} a gardé une valeur et l’a rendue.' },
  'proxy-zombie': {
    sentence:
      'Le mandataire DHT {url} répond, mais pas la DHT derrière lui ({status}) : les téléphones paraissent hors ligne.',
    remedy: 'Voyez d’abord ce qui est constaté au sujet de la DHT ; si elle va bien, relancez le mandataire.',
  },
  'proxy-closed': {
    sentence: 'Rien n’écoute là où le mandataire DHT devrait être : {url}.',
    remedy: 'Lancez le mandataire sur {host}, ou corrigez son adresse dans les applications.',
  },
  'proxy-silent': {
    sentence: 'Le mandataire DHT {url} est injoignable.',
    remedy: 'Laissez entrer le port TCP {port} sur {host}.',
  },
  'names-good': { sentence: 'Le serveur de noms {url} répond.' },
  'names-unwell': {
    sentence: 'Le serveur de noms {url} répond par une erreur ({status}).',
    remedy: 'Regardez son journal ; sa base de données est peut-être pleine ou injoignable.',
  },
  'names-closed': {
    sentence: 'Rien n’écoute là où le serveur de noms devrait être : {url}.',
    remedy: 'Lancez le serveur de noms sur {host}, ou corrigez son adresse dans les applications.',
  },
  'names-silent': {
    sentence: 'Le serveur de noms {url} est injoignable.',
    remedy: 'Laissez entrer le port TCP {port} sur {host}.',
  },
  'turn-good': { sentence: 'TURN par {transport} en {address} relaie (identifiants : {credential}).' },
  'turn-closed': {
    sentence: 'Rien n’écoute sur le port {transport} {port} de {host}, où le serveur TURN devrait être.',
    remedy: 'Lancez-y le serveur TURN, ou corrigez son adresse dans les applications.',
  },
  'turn-silent': {
    sentence: 'Le serveur TURN en {address} ne répond pas par {transport}.',
    remedy:
      'Laissez entrer le port {transport} {port} sur {host} ; d’ici là, les appels entre réseaux éloignés peuvent échouer.',
  },
  'turn-password-wrong': {
    sentence: 'Le serveur TURN en {address} n’accepte pas l’utilisateur {user} avec ce mot de passe.',
    remedy:
      'Saisissez utilisateur, mot de passe et domaine tels que le hub les montre (atoll join) ; le serveur lui-même est joignable.',
  },
  'turn-refused': {
    sentence: 'Le serveur TURN en {address} refuse une allocation par {transport} : erreur {code}.',
    remedy:
      'L’erreur 486 ou 508 dit que le quota ou les ports sont épuisés : augmentez-les, ou attendez la fin d’appels.',
  },
  'turn-relay-closed': {
    sentence: 'TURN en {address} accorde une allocation, mais rien ne passe par son relais {relay}.',
    remedy: 'Laissez entrer et sortir les ports UDP du relais (49152 à 65535, sauf autre réglage) sur {host}.',
  },
  'turn-unknown': {
    sentence: 'TURN en {address} répond ; son relais n’a pas été essayé, faute d’utilisateur et de mot de passe.',
    remedy: 'Donnez --ready-file, ou --turn-user et --turn-password-file.',
  },
  'nat-none': { sentence: 'Il n’y a pas de traduction d’adresses entre ici et {host}.' },
  'nat-easy': {
    sentence:
      'Il y a une traduction d’adresses que les pairs peuvent traverser (vu comme {address}, association {mapping}).',
  },
  'nat-hard': {
    sentence: 'La traduction d’adresses d’ici donne un autre port à chaque destination (vu comme {address}).',
    remedy:
      'Les appels à travers elle ont besoin de TURN : vérifiez qu’un serveur TURN est saisi dans les applications.',
  },
  'nat-unknown': {
    sentence: 'La sorte de traduction d’adresses est inconnue : {host} n’a pas de seconde adresse d’où répondre.',
    remedy: 'Donnez deux adresses au serveur TURN, ou indiquez par --stun HÔTE un serveur STUN qui les a.',
  },
  'clock-good': { sentence: 'Les horloges d’ici et de {host} s’accordent à {seconds} s près.' },
  'clock-off': {
    sentence: 'Les horloges d’ici et de {host} diffèrent de {seconds} s : certificats et messages seront refusés.',
    remedy: 'Réglez l’horloge de la machine qui se trompe (timedatectl set-ntp true, ou date à la main).',
  },
  'certificate-good': { sentence: 'Le certificat de {place} est valable jusqu’au {until}.' },
  'certificate-expired': {
    sentence: 'Le certificat de {place} est échu depuis le {until}.',
    remedy: 'Renouvelez-le ; le hub prend le nouveau fichier de lui-même.',
  },
  'certificate-early': {
    sentence: 'Le certificat de {place} ne commence que le {from}.',
    remedy: 'Réglez l’horloge, ou refaites le certificat.',
  },
  'certificate-soon': {
    sentence: 'Le certificat de {place} finit le {until}, dans {days} jours.',
    remedy: 'Renouvelez-le avant ; le hub prend le nouveau fichier de lui-même.',
  },
  'certificate-name': {
    sentence: 'Le certificat de {place} est pour {names}, pas pour {host}.',
    remedy: 'Procurez-vous un certificat qui nomme {host}, ou employez le nom qu’il porte.',
  },
  'certificate-acme': {
    sentence: 'Le hub n’a pas obtenu de nouveau certificat de {names} par ACME : {reason}',
    remedy:
      'Faites ce qui est dit ; le hub réessaie de lui-même, et deux minutes après un échec aussi quand on le redémarre.',
  },
  'certificate-unreadable': {
    sentence: 'Le certificat ou la clé est inutilisable : {reason}',
    remedy: 'Laissez l’utilisateur du hub lire {path}, et vérifiez que la clé va avec le certificat.',
  },
  'mtu-good': { sentence: 'Les paquets de {bytes} octets passent entiers.' },
  'mtu-black-hole': {
    sentence: 'Les paquets de plus de {bytes} octets disparaissent en route vers {host}, sans que personne le dise.',
    remedy:
      'Mettez le MTU du lien de cette machine à {bytes} (ip link set dev LIEN mtu {bytes}), ou laissez passer l’ICMP « fragmentation needed » en chemin.',
  },
  'loss-good': {
    sentence: '{percent} % de {sent} paquets vers {host} se sont perdus ; les réponses ont pris {rttMs} ms.',
  },
  'loss-some': {
    sentence: '{percent} % de {sent} paquets vers {host} se sont perdus.',
    remedy: 'Prenez un câble ou un point d’accès plus proche si les appels hachent.',
  },
  'loss-high': {
    sentence: '{percent} % de {sent} paquets vers {host} se sont perdus : les appels vont hacher.',
    remedy:
      'Changez le câble, le canal du point d’accès ou le port du commutateur ; essayez avec un câble si c’est du Wi-Fi.',
  },
  'firewall-good': { sentence: 'Aucune règle de pare-feu de cette machine ne gêne.' },
  'firewall-drops': {
    sentence: 'Le pare-feu de cette machine rejette le port {transport} {port} ({service}) : {rule}.',
    remedy: 'Ôtez la règle ou autorisez le port avant elle ; atoll firewall écrit des règles qui conviennent.',
  },
  'firewall-unknown': {
    sentence: 'Les règles de pare-feu de cette machine sont illisibles : {reason}.',
    remedy: 'Lancez atoll doctor en tant que root pour les voir.',
  },
  'dns-good': { sentence: 'Les noms sont résolus comme il faut.' },
  'dns-unneeded': { sentence: 'Aucun serveur DNS ne répond ici, et rien de ce qui est réglé n’en a besoin.' },
  'dns-broken': {
    sentence: 'Le serveur DNS {server} ne répond pas, et {name} doit être résolu.',
    remedy: 'Réparez le serveur DNS, ou écrivez des adresses IP au lieu de noms.',
  },
  'dns-unknown-name': {
    sentence: 'Le DNS ne connaît pas le nom {name}.',
    remedy: 'Ajoutez-le à votre DNS, ou écrivez l’adresse IP à la place.',
  },
  'dns-answers-everything': {
    sentence:
      'Le DNS répond à n’importe quel nom, même inventé, par {addresses} : une page de connexion ou un filtre s’interpose.',
    remedy:
      'Connectez-vous d’abord au réseau, prenez un autre serveur DNS, ou écrivez des adresses IP au lieu de noms.',
  },
  'dns-wrong-address': {
    sentence: 'Le nom {name} mène à {addresses}, qui n’est pas l’endroit du hub ({expected}).',
    remedy: 'Corrigez le nom dans votre DNS ou dans /etc/hosts.',
  },
  'disk-good': { sentence: '{free} Mo sont libres pour le répertoire d’état.' },
  'disk-low': {
    sentence: 'Seuls {free} Mo sont libres pour le répertoire d’état {path}.',
    remedy: 'Faites de la place avant que ce soit plein.',
  },
  'disk-full': {
    sentence: 'Le disque du répertoire d’état {path} est plein ({free} Mo libres) : rien de nouveau n’est gardé.',
    remedy: 'Faites de la place, ou déplacez le répertoire d’état sur un disque plus grand.',
  },
  'memory-good': { sentence: '{free} Mo de mémoire sont libres.' },
  'memory-low': {
    sentence: 'Seuls {free} Mo de mémoire sont libres.',
    remedy: 'Arrêtez d’autres programmes, ou ajoutez de la mémoire ou du swap.',
  },
  'descriptors-good': { sentence: 'Le hub peut ouvrir {limit} fichiers et connexions.' },
  'descriptors-low': {
    sentence: 'Le hub ne peut ouvrir que {limit} fichiers et connexions : des clients seront refusés.',
    remedy: 'Relevez la limite (LimitNOFILE= dans l’unité systemd, ulimit -n dans un shell) et relancez le hub.',
  },
  'why-name-unknown': {
    sentence: 'Personne ne s’appelle {person} au serveur de noms.',
    remedy: 'Vérifiez l’orthographe du nom, ou employez les 40 chiffres de l’identifiant Jami.',
  },
  'why-name-silent': {
    sentence: 'Le serveur de noms, interrogé sur {person}, n’a pas répondu : {reason}.',
    remedy: 'Examinez le serveur de noms avec atoll doctor, ou employez les 40 chiffres de l’identifiant Jami.',
  },
  'why-same': {
    sentence: '{person} est l’un et l’autre.',
    remedy: 'Nommez deux personnes différentes.',
  },
  'why-no-dht': {
    sentence: 'La DHT n’a rien répondu au sujet de {person} : {reason}.',
    remedy: 'Examinez la DHT avec atoll doctor.',
  },
  'why-no-device': {
    sentence: 'Aucun appareil de {person} ne dit sur ce réseau qu’il est là.',
    remedy:
      'Allumez un appareil de {person}, et vérifiez que son bootstrap est ce hub et que son compte est activé ; il est vu au bout d’une minute au plus.',
  },
  'why-no-certificate': {
    sentence: 'L’appareil {device} de {person} dit qu’il est là, mais son certificat est introuvable.',
    remedy:
      'Laissez l’application tourner quelques minutes ; si cela dure, anciennes et nouvelles applications se mêlent sur ce réseau : activez le pont du hub.',
  },
  'why-device-seen': {
    sentence: 'L’appareil {device} de {person} a été entendu en {address}, il y a {seconds} s.',
  },
  'why-device-unseen': {
    sentence:
      'L’appareil {device} de {person} dit qu’il est là, mais son propre nœud DHT n’a pas été entendu ici : il passe par un mandataire DHT, ou vient de partir.',
    remedy:
      'S’il est parti, cela disparaît en moins de dix minutes ; réveillez le téléphone, ou essayez ses notifications.',
  },
  'why-two-networks': {
    sentence: '{person} et {other} sont sur des réseaux différents ({here}, {there}).',
    remedy:
      'Entre réseaux, les appels peuvent avoir besoin de TURN : vérifiez que le même serveur TURN est saisi dans les deux applications.',
  },
  'why-nothing': {
    sentence: 'Tous deux sont là, et rien du côté du hub ne sépare {person} et {other}.',
    remedy: 'Lancez atoll doctor sur les réseaux des deux appareils ; vérifiez qu’aucun n’a bloqué l’autre.',
  },
  'check-failed': {
    sentence: 'Une chose n’a pas pu être examinée ({check}) : {reason}',
    remedy: 'Corrigez ce qui a été constaté par ailleurs, puis recommencez.',
  },
};
