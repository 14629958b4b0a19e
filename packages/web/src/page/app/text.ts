import { defineText } from '../language/text.js';

/** Words of the frame around every page. */
export const appText = defineText(
  {
    join: 'Join',
    trust: 'Trust',
    network: 'Network',
    why: 'Why?',
    operator: 'Operator',
    pages: 'Pages',
    skip: 'Skip to the content',
    otherLanguage: 'Français',
    theme: (current: string) => `Colors: ${current}`,
    themeAuto: 'as the device',
    themeLight: 'light',
    themeDark: 'dark',
    hub: 'An Atoll hub',
    missing: 'There is nothing at this address',
    missingLead: 'The link may be old. The pages of this hub are in the menu.',
  },
  {
    join: 'Rejoindre',
    trust: 'Confiance',
    network: 'Réseau',
    why: 'Pourquoi ?',
    operator: 'Gestion',
    pages: 'Pages',
    skip: 'Aller au contenu',
    otherLanguage: 'English',
    theme: (current) => `Couleurs : ${current}`,
    themeAuto: 'comme l’appareil',
    themeLight: 'claires',
    themeDark: 'sombres',
    hub: 'Un hub Atoll',
    missing: 'Il n’y a rien à cette adresse',
    missingLead: 'Le lien est peut-être ancien. Les pages de ce hub sont dans le menu.',
  },
);
