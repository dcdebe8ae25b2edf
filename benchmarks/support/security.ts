/** How much of a card and its holder messages show, and what the switch that is measured is told to demand. */
import type { Settings } from '../../src/settings.ts'
import { demoTerminals } from '../../src/programme/demo.ts'

export const SECURITY_NAMES = ['none', 'pin', 'full'] as const
export type SecurityName = (typeof SECURITY_NAMES)[number]

interface Level {
  readonly explanation: string
  /** Online PIN, format 0, in messages that a holder is there for. */
  readonly pin: boolean
  /** A chip's cryptogram in the same messages. */
  readonly chip: boolean
  /** AES-CMAC both ways in all messages. */
  readonly mac: boolean
}

export const SECURITY: Readonly<Record<SecurityName, Level>> = {
  none: { explanation: 'the card number alone; the switch demands nothing more', pin: false, chip: false, mac: false },
  pin: {
    explanation: 'an online PIN (format 0), which the switch demands at every terminal',
    pin: true,
    chip: false,
    mac: false,
  },
  full: {
    explanation: 'a cryptogram of the chip (answered with one), an online PIN, and a MAC both ways; all of them demanded',
    pin: true,
    chip: true,
    mac: true,
  },
}

/** The settings of config/sarf.json with MACs on all links, or on none. */
export function settingsOf(security: SecurityName, settings: Settings): Settings {
  return {
    ...settings,
    links: settings.links.map(({ mac: _, ...link }) =>
      SECURITY[security].mac ? { ...link, mac: { key: macKeyOf(link.name) } } : link,
    ),
  }
}

/** A development key: CMAC with AES. */
export function macKeyOf(link: string): string {
  return `mac.${link}`
}

/** As much of config/programme.json as is changed here. */
export interface ProgrammeFile {
  readonly versions: readonly {
    readonly pin: object
    readonly chip: object
    readonly services: Readonly<Record<string, object>>
  }[]
}

/** The programme that demands of every card what its messages show, wherever it is used. */
export function programmeOf<File extends ProgrammeFile>(security: SecurityName, file: File): File {
  const { pin, chip } = SECURITY[security]
  const classes = [...new Set(demoTerminals().map((terminal) => terminal.class))]
  return {
    ...file,
    versions: file.versions.map((version) => ({
      ...version,
      pin: { terminalClasses: pin ? classes : [] },
      chip: { terminalClasses: chip ? classes : [] },
      services: Object.fromEntries(Object.entries(version.services).map(([name, service]) => [name, { ...service, pin }])),
    })),
  }
}
