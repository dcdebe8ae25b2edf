import type { Settings } from '../config.ts'

/** `http` of config/sarf.json. */
export type HttpSettings = Settings['http']
