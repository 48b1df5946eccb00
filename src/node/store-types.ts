/** The types of stores that a configuration can name. */

export const STORE_TYPES = ['legacy', 'filesystem', 's3'] as const

export type StoreType = (typeof STORE_TYPES)[number]
