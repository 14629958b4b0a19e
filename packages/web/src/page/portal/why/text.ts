import { defineText } from '../../language/text.js';

/** Words of the page that looks for why two people do not meet. */
export const whyText = defineText(
  {
    title: 'Why do we not meet?',
    lead: 'Give two people, by user name or Jami id. The hub looks at each link of the chain between them and says which one is broken.',
    of: 'One of you',
    to: 'The other',
    hint: 'User name, or id of 40 letters and digits',
    look: 'Look for the reason',
    looking: 'Looking …',
    isWell: 'The hub finds nothing in the way.',
    isIll: 'Here is what is in the way.',
  },
  {
    title: 'Pourquoi ne nous trouvons-nous pas ?',
    lead: 'Donnez deux personnes, par nom d’utilisateur ou identifiant Jami. Le hub examine chaque maillon entre elles et dit lequel est rompu.',
    of: 'L’un de vous',
    to: 'L’autre',
    hint: 'Nom d’utilisateur, ou identifiant de 40 lettres et chiffres',
    look: 'Chercher la raison',
    looking: 'Recherche…',
    isWell: 'Le hub ne trouve rien en travers.',
    isIll: 'Voici ce qui est en travers.',
  },
);
