/** Outlines of the icons, each drawn with a stroke in a box of 24 × 24. */
export const ICONS = {
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  done: 'M5 12.5l4.5 4.5L19 7.5',
  code: 'M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.5v2.5H14zM17.5 17.5H20V20h-2.5z',
  join: 'M14.5 4H19v16h-4.5M4 12h10.5M10.5 7.5L15 12l-4.5 4.5',
  trust: 'M12 3.5l7 2.5v5.5c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6zM9 12l2.2 2.2L15.2 10',
  network: 'M12 4.5a7.5 7.5 0 1 0 .01 0M12 3v3.5M4.5 16.5l3-1.7M19.5 16.5l-3-1.7',
  why: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM9.6 9.5c.3-3 5-2.800 4.800.1-.1 1.900-2.400 2-2.400 4M12 16.6v.1',
  quality: 'M4 19V14M9 19V9M14 19v-7M19 19V5',
  operator: 'M4 7h9M17 7h3M4 12h3M11 12h9M4 17h11M19 17h1M15 5v4M9 10v4M17 15v4',
  good: 'M5 12.5l4.5 4.5L19 7.5',
  warning: 'M12 4L2.800 19.5h18.400zM12 10v4.5M12 17v.1',
  fault: 'M6 6l12 12M18 6L6 18',
  unknown: 'M6 12h12',
  light:
    'M12 8a4 4 0 1 0 .01 0M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.300 5.300l1.400 1.4M17.300 17.300l1.400 1.4M5.300 18.7l1.400-1.4M17.300 6.7l1.400-1.400',
  dark: 'M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z',
  auto: 'M12 3.5a8.5 8.5 0 1 0 .01 0M12 3.5v17M15 6v12M18 9v6',
} as const;

export type IconName = keyof typeof ICONS;
