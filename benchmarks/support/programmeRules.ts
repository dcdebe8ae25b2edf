/** What the generator has to know of config/programme.json: account types, and what bread costs. */
import { cairoDay } from '../../src/clock.ts'
import { loadConfig } from '../../src/config.ts'
import { parametersOn } from '../../src/programmeParameters.ts'
import { dayAllowance } from '../../src/purse/entitlement.ts'

export interface ProgrammeRules {
  /** DE 3: the lowest account type that means a purse. */
  accountType(purse: string): string
  /** Tags of DE 48: how many loaves, and for how many days. */
  readonly loavesTag: string
  readonly daysTag: string
  /** Piasters a loaf: what the holder pays, and what the bakery gets in all. */
  readonly loafPrice: number
  readonly loafCost: number
  /** The most bread that a household gets for a day, by the members that are counted for it. */
  loavesADay(members: number): number
}

let known: ProgrammeRules | undefined

/** The rules of today. Read once: a run is shorter than a day. @throws ConfigError */
export function programmeRules(): ProgrammeRules {
  known ??= readRules()
  return known
}

function readRules(): ProgrammeRules {
  // No server is needed here, so what is said about servers may be anything.
  const { programme } = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' })
  const bread = parametersOn(programme, cairoDay(Date.now())).services['bread']
  const { goods, days, entitlement } = bread ?? {}
  if (goods === undefined || days === undefined || entitlement === undefined)
    throw new RangeError('the programme sells bread, by days')
  const { accountTypes } = programme
  return {
    accountType(purse) {
      const [type] = Object.keys(accountTypes)
        .filter((candidate) => accountTypes[candidate] === purse)
        .sort()
      if (type === undefined) throw new RangeError(`no account type means ${purse}`)
      return type
    },
    loavesTag: goods.tag,
    daysTag: days.tag,
    loafPrice: goods.price,
    loafCost: goods.cost,
    loavesADay: (members) => dayAllowance(entitlement, members),
  }
}
