/**
 * Bytes in, bytes out (src/answerMessage.ts). The first byte says in which dialect, the second what the authorizer answers. Whatever came, the
 * answer can be read, belongs to its question, and nothing that is logged shows a card number.
 */
import { answerMessage, type MessageOutcome } from '../../../src/answerMessage.ts'
import type { LinkKeys } from '../../../src/linkKeys.ts'
import { HotCards } from '../../../src/hotCards.ts'
import type { Desk } from '../../../src/ledger/programme/desk.ts'
import type { MacGate } from '../../../src/macGate.ts'
import { NetworkManagement } from '../../../src/networkManagement.ts'
import type { ReconciliationResult } from '../../../src/response/reconciliationAnswer.ts'
import { OVER_HTTP } from '../../../src/transaction/origin.ts'
import type { Authorizer } from '../../../src/authorize.ts'
import type { Clock } from '../../../src/clock.ts'
import { loadConfig } from '../../../src/config.ts'
import { decode } from '../../../src/iso8583/decode.ts'
import { messageSpec, SPEC_NAMES } from '../../../src/iso8583/messageSpec.ts'
import { responseMti } from '../../../src/iso8583/mti.ts'
import type { Logger } from '../../../src/log.ts'
import { NOTHING_TOLD, type AuthorizationResult } from '../../../src/response/result.ts'
import { check, checkNoCardNumber, type Target } from '../target.ts'
import { MESSAGE_TOKENS, messageSeeds } from './messageSeeds.ts'

const config = loadConfig({ DATABASE_URL: 'postgres://localhost/none', REDIS_URL: 'redis://localhost' })
const nowMs = Date.parse('2026-11-22T09:30:05Z')
const clock = { now: () => nowMs } as unknown as Clock
const link = { name: 'fuzz', keyTime: 'transmission' } as const

const approved: AuthorizationResult = {
  responseCode: '00',
  reason: undefined,
  approvalCode: 'ABC123',
  approved: 1250,
  balances: { available: 1250, ledger: 2500, currency: '818' },
  ofEntitlement: true,
  billed: 100,
  triesLeft: 2,
  cover: { class: 'MED', from: '2026-01-01', until: '2026-12-31' },
  rrn: '632609000124',
  replayed: false,
}
const declined: AuthorizationResult = {
  responseCode: '51',
  reason: 'insufficient_funds',
  approvalCode: undefined,
  approved: 0,
  balances: undefined,
  ...NOTHING_TOLD,
  rrn: undefined,
  replayed: false,
}
const OUT_OF_BALANCE: ReconciliationResult = { responseCode: '95', ours: Array.from({ length: 16 }, (_, index) => index) }
const RESULTS: readonly (AuthorizationResult | undefined)[] = [approved, declined, undefined]

export const answers: Target = {
  seeds: SPEC_NAMES.flatMap((name, index) => messageSeeds(name).map((seed) => Buffer.concat([Buffer.of(index, 0), seed]))),
  dictionary: MESSAGE_TOKENS,
  bytesMax: 500,
  run(input) {
    const spec = messageSpec(SPEC_NAMES[(input[0] ?? 0) % SPEC_NAMES.length]!)
    const result = RESULTS[(input[1] ?? 0) % RESULTS.length]
    const frame = input.subarray(2)
    const outcomes: MessageOutcome[] = []
    const submit: Authorizer['submit'] = (_asked, respond) => {
      respond(result)
    }
    const network = new NetworkManagement({ linkKeys: {} as unknown as LinkKeys, log })
    const hotCards = new HotCards({ config, desk: {} as unknown as Desk, clock, log })
    const parts = {
      config,
      authorizer: { submit } as unknown as Authorizer,
      macGate: {} as unknown as MacGate,
      network,
      hotCards,
      reconciler: {
        answer: (_link: unknown, _origin: unknown, _message: unknown, done: (result: ReconciliationResult) => void) =>
          done(OUT_OF_BALANCE),
      },
      clock,
      log,
    }
    answerMessage(parts, link, spec, frame, OVER_HTTP, (outcome) => outcomes.push(outcome))
    const [outcome] = outcomes
    check(outcome !== undefined && outcomes.length === 1, 'there is one outcome', outcomes.length)
    if (outcome.kind === 'close') checkNoCardNumber(outcome.reason, 'a reason')
    if (outcome.kind !== 'answer') return 'rejected'
    const asked = decode(spec, frame)
    const question = asked.ok ? asked.message : asked.error.partial
    check(question !== undefined, 'what is answered has an MTI')
    const answer = decode(question.spec, outcome.bytes)
    check(answer.ok, 'an answer can be read', answer.ok ? undefined : { ...answer.error, partial: undefined })
    check(answer.message.mti === responseMti(question.mti), 'an answer has the MTI of its question', answer.message.mti)
    for (const de of [11, 41]) check(answer.message.text(de) === question.text(de), 'an answer belongs to its question', de)
    check(answer.message.has(39), 'an answer has a response code')
    return 'accepted'
  },
}

const log: Logger = { debug: see, info: see, warn: see, error: see }

function see(fields: object, message: string): void {
  checkNoCardNumber(`${JSON.stringify(fields)} ${message}`, 'a log line')
}
