/** The programme's desk beside a test's switch: orders, clocks and notices by hand, when a test wants them. */
import { afterAll } from 'vitest'
import type { CardToken } from '../../src/card.ts'
import type { Clock } from '../../src/clock.ts'
import { Desk, type SqlTransaction, type Outcome } from '../../src/ledger/programme/desk.ts'
import { silentLogger } from '../../src/log.ts'
import { Mobile, NationalId, type PersonalData } from '../../src/personalData.ts'
import { runCardClocks, type CardClockParts, type CardClockRun } from '../../src/programme/clocks/cardClocks.ts'
import { NoticeDispatcher } from '../../src/programme/notices/dispatcher.ts'
import type { NoticeProvider, OutgoingNotice, SendOutcome } from '../../src/programme/notices/provider.ts'
import { orderCard, type CardOrder } from '../../src/programme/orderCard.ts'
import { dataVault } from '../../src/security/dataVault.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import type { TestSwitch } from './switch.ts'

const desks: Desk[] = []
afterAll(async () => {
  await Promise.all(desks.splice(0).map((desk) => desk.close()))
})

export const vault = dataVault(softwareKeyStore(developmentKeys()), 'data.1')

/** A second one is another process. */
export function openDesk({ databaseUrl, clock }: TestSwitch): Desk {
  const desk = new Desk({ url: databaseUrl, shard: 0, connections: 4, statementMs: 20_000, clock, log: silentLogger })
  desks.push(desk)
  return desk
}

/** Runs a change as somebody. @throws where it is refused */
export async function change<T>(desk: Desk, work: (tx: SqlTransaction) => Promise<Outcome<T>>): Promise<T> {
  const outcome = await desk.run({ actor: { name: 'test', roles: [] }, action: 'test', subject: 'test', work })
  if (!outcome.ok) throw new Error(`refused: ${outcome.refusal.name}`)
  return outcome.value
}

/** @returns the card's id */
export async function order(desk: Desk, { config }: TestSwitch, asked: CardOrder): Promise<CardToken> {
  const { programme, lookupKey } = config
  return (await change(desk, (tx) => orderCard(tx, { programme, lookupKey, vault }, asked))).token
}

export function runClocks(desk: Desk, { config, clock }: TestSwitch, more: Partial<CardClockParts> = {}): Promise<CardClockRun> {
  return runCardClocks({ desk, config, log: silentLogger, ...more }, clock.now())
}

export interface TestProvider extends NoticeProvider {
  /** What it was given, oldest first. */
  readonly taken: OutgoingNotice[]
}

/** A provider that answers what it is told to; absent: it accepts, under the notice's own id. */
export function testProvider(answer?: (notice: OutgoingNotice) => SendOutcome | Promise<SendOutcome>): TestProvider {
  const taken: OutgoingNotice[] = []
  return {
    deliversAtOnce: false,
    taken,
    async send(notice) {
      taken.push(notice)
      return (await answer?.(notice)) ?? { kind: 'accepted', reference: notice.id }
    },
  }
}

export function dispatcher(
  desk: Desk,
  { config, clock }: Pick<TestSwitch, 'config'> & { readonly clock: Clock },
  provider: NoticeProvider,
): NoticeDispatcher {
  return new NoticeDispatcher({ config, desk, vault, provider, clock, log: silentLogger, chance: () => 0.5 })
}

/** A grown-up, made up, another one for each number. */
export function personalData(number: number, mobile: string | null): PersonalData {
  const nationalId = NationalId.parse(`280051703${String(number).padStart(5, '0')}`)
  if (nationalId === undefined) throw new Error('no national ID')
  return { nationalId, mobile: mobile === null ? null : (Mobile.parse(mobile) ?? null) }
}

export const POST_OFFICE = 'post-03-1'

/** A post office and the Diwan of governorate 3. */
export async function addPlaces(running: TestSwitch): Promise<void> {
  await running.sql(
    `INSERT INTO place (id, kind, governorate, name_ar, name_en) VALUES
     ($1, 'post-office', 3, 'مكتب بريد بورسعيد', 'Port Said post office'), ('diwan-3', 'diwan', 3, 'ديوان بورسعيد', 'Port Said Diwan')
     ON CONFLICT DO NOTHING`,
    [POST_OFFICE],
  )
}
