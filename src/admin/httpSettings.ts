import type { Settings } from '../settings.ts'

/** `http` of config/sarf.json. */
export type HttpSettings = Settings['http']
