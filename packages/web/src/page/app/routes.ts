import type { Component } from 'svelte';
import type { IconName } from '../design/icons.js';

export interface Route {
  /** Key of its name in `appText`. */
  readonly name: 'join' | 'trust' | 'network' | 'why' | 'quality' | 'operator';
  readonly path: string;
  readonly icon: IconName;
  /** Loaded when it is first opened. */
  readonly load: () => Promise<{ default: Component }>;
}

/** The pages of the menu, in its order. */
export const ROUTES: readonly Route[] = [
  { name: 'join', path: '/', icon: 'join', load: () => import('../portal/join/Join.svelte') },
  { name: 'trust', path: '/trust', icon: 'trust', load: () => import('../portal/trust/Trust.svelte') },
  { name: 'network', path: '/network', icon: 'network', load: () => import('../portal/network/Network.svelte') },
  { name: 'why', path: '/why', icon: 'why', load: () => import('../portal/why/Why.svelte') },
  { name: 'quality', path: '/quality', icon: 'quality', load: () => import('../portal/quality/Quality.svelte') },
  { name: 'operator', path: '/operator', icon: 'operator', load: () => import('../portal/operator/Operator.svelte') },
];
