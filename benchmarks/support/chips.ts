/** The chips of the demo cards: one counter a card, which goes up by one with each cryptogram. */
import { loadConfig } from '../../src/config.ts'
import { EGP } from '../../src/money.ts'
import { demoPan } from '../../src/programme/demo.ts'
import { demoChip } from '../../src/programme/demoDevices.ts'
import type { VirtualChip } from '../../src/security/virtualChip.ts'
import { profileOf, type CardProfile } from '../../src/securityParameters.ts'

export interface Cryptogram {
  /** DE 55. */
  readonly data: Buffer
  /** It waits for the answer. */
  readonly chip: VirtualChip
}

/** ISO 3166-1, and ISO 4217 of its pound. */
const EGYPT = '818'

export class Chips {
  readonly #atcs: Uint16Array
  readonly #profile: CardProfile
  #unpredictable = 0

  constructor(households: number) {
    this.#atcs = new Uint16Array(households + 1)
    const { security } = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' })
    const profile = profileOf(security, demoPan(1))
    if (profile?.chip === undefined) throw new RangeError('demo cards have chips')
    this.#profile = profile
  }

  /**
   * The chip is made anew each time: a hundred thousand of them would not fit.
   *
   * @param type the first two digits of DE 3
   * @param date YYMMDD
   */
  use(household: number, amount: number, type: string, date: string): Cryptogram {
    const chip = demoChip(this.#profile, demoPan(household), this.#atcs[household] ?? 0)
    if (chip === undefined) throw new RangeError('demo cards have chips')
    const unpredictableNumber = Buffer.alloc(4)
    unpredictableNumber.writeUInt32BE(this.#unpredictable++)
    const data = chip.generate({ amount, country: EGYPT, currency: EGP, date, type, unpredictableNumber })
    this.#atcs[household] = chip.atc()
    return { data, chip }
  }
}
