import { describe, expect, it } from 'vitest'
import { AnswerReader } from '../../../benchmarks/support/answerReader.ts'
import { KIND_TRAITS, MESSAGE_KINDS, type MessageKind } from '../../../benchmarks/support/messageKinds.ts'
import { MomentSource } from '../../../benchmarks/support/moment.ts'
import { MessageTemplate, PanTable, repeatOf } from '../../../benchmarks/support/template.ts'
import { ACQUIRER, SHAPES, transactionMessage } from '../../../src/cli/transactionMessage.ts'
import { decode } from '../../../src/iso8583/decode.ts'
import { encode } from '../../../src/iso8583/encode.ts'
import type { Message } from '../../../src/iso8583/message.ts'
import { messageSpec, SPEC_NAMES, type MessageSpec } from '../../../src/iso8583/messageSpec.ts'
import type { PrivateDatum } from '../../../src/iso8583/privateData.ts'
import { minorUnits } from '../../../src/money.ts'
import { demoPan, demoTerminal } from '../../../src/programme/demo.ts'
import { answerTo } from '../../../src/response/answer.ts'

const HOUSEHOLDS = 60
const NOW_MS = Date.parse('2026-11-22T09:05:07.123Z')

/** As config/programme.json has them. */
const ACCOUNT_TYPE: Partial<Record<MessageKind, string>> = { bread: '97', ration: '98', points: '95', eligibility: '94' }
const PRIVATE_DATA: Partial<Record<MessageKind, PrivateDatum[]>> = {
  bread: [
    { tag: 'LV', value: '45' },
    { tag: 'DY', value: '1' },
  ],
  ration: [{ tag: 'BK', value: 'SUGAR*1*1234;' }],
  eligibility: [{ tag: 'BR', value: 'M' }],
}

function read(spec: MessageSpec, bytes: Buffer): Message {
  const decoded = decode(spec, bytes)
  if (!decoded.ok) throw new Error(`${decoded.error.path}: ${decoded.error.expected}`)
  return decoded.message
}

describe.each(SPEC_NAMES)('in dialect %s', (name) => {
  const spec = messageSpec(name)
  const pans = new PanTable(spec, HOUSEHOLDS)
  const moment = new MomentSource().at(NOW_MS)

  it.each(MESSAGE_KINDS)('a %s from a template is, byte for byte, the one that the codec encodes', (kind) => {
    const { send, follows } = KIND_TRAITS[kind]
    const terminal = demoTerminal(SHAPES[send].terminalClass)
    const amount = SHAPES[send].amount === 'zero' ? 0 : 1234
    const { mti, fields } = transactionMessage(send, {
      nowMs: NOW_MS,
      stan: '004711',
      pan: demoPan(42),
      terminalId: terminal.terminalId,
      acceptorId: terminal.acceptorId,
      merchantCategory: terminal.category,
      amount: minorUnits(amount),
      rrn: undefined,
      approvalCode: undefined,
      accountType: ACCOUNT_TYPE[kind] ?? '00',
      privateData: PRIVATE_DATA[kind] ?? [],
      advice: false,
      localTime: undefined,
      original:
        follows === undefined
          ? undefined
          : {
              mti: kind === 'complete' ? '0100' : '0200',
              processingCode: `${follows === 'withdrawal' ? '01' : '00'}${ACCOUNT_TYPE[follows] ?? '00'}00`,
              stan: '004710',
              transmissionTime: '1122090506',
              acquirerId: ACQUIRER,
            },
      finalAmount: undefined,
    })
    const encoded = encode(spec, mti, fields)
    const bytes = new MessageTemplate(spec, pans, kind, terminal).message({
      household: 42,
      amount,
      loaves: 45,
      stan: 4711,
      moment,
      original: follows !== undefined ? { stan: 4710, transmission: 1_122_090_506 } : undefined,
    })
    expect(encoded).toEqual({ ok: true, bytes })
  })

  it('two messages of a template share no memory', () => {
    const template = new MessageTemplate(spec, pans, 'purchase', demoTerminal('pos'))
    const values = { household: 21, amount: 100, loaves: 0, moment, original: undefined }
    const first = template.message({ ...values, stan: 1 })
    template.message({ ...values, stan: 2 })
    expect(read(spec, first).text(11)).toBe('000001')
  })

  it('a repeat differs from its message in the last digit of the MTI alone', () => {
    const template = new MessageTemplate(spec, pans, 'bread', demoTerminal('bakery'))
    const first = template.message({ household: 21, amount: 140, loaves: 7, moment, stan: 1, original: undefined })
    const [before, after] = [read(spec, first), read(spec, repeatOf(spec, first))]
    expect([before.mti, after.mti]).toEqual(['0200', '0201'])
    expect(after.fields().map((de) => after.text(de))).toEqual(before.fields().map((de) => before.text(de)))
    expect(read(spec, first).mti).toBe('0200')
  })

  it('answers are read alike whether their layout was learnt just now or before', () => {
    const reader = new AnswerReader(spec)
    const template = new MessageTemplate(spec, pans, 'purchase', demoTerminal('pos'))
    for (const [index, responseCode] of ['00', '00', '51', '00', '51', '10'].entries()) {
      const stan = 999_990 + index
      const request = template.message({ household: 30 + index, amount: 700, loaves: 0, stan, moment, original: undefined })
      expect(reader.read(answer(spec, request, responseCode))).toEqual({
        mti: '0210',
        terminalId: 'POS00001',
        transmission: 1_122_090_507,
        stan,
        responseCode,
      })
    }
  })

  it('an answer with a second bitmap is read too', () => {
    const template = new MessageTemplate(spec, pans, 'reversal of purchase', demoTerminal('pos'))
    const original = { stan: 1, transmission: 1_122_090_506 }
    const request = template.message({ household: 30, amount: 700, loaves: 0, stan: 2, moment, original })
    expect(new AnswerReader(spec).read(answer(spec, request, '00'))).toMatchObject({ mti: '0410', stan: 2, responseCode: '00' })
  })

  it('what is no answer to a transaction is not read as one', () => {
    const reader = new AnswerReader(spec)
    const echo = encode(spec, '0810', sparse({ 7: '1122090507', 11: '000001', 39: '00', 70: '301' }))
    expect(echo.ok && reader.read(echo.bytes)).toBeUndefined()
    expect(reader.read(Buffer.from('0210'))).toBeUndefined()
    expect(reader.read(Buffer.alloc(0))).toBeUndefined()
  })
})

function answer(spec: MessageSpec, request: Buffer, responseCode: string): Buffer {
  const message = read(spec, request)
  const approved = responseCode === '00' || responseCode === '10'
  const encoded = answerTo(message, {
    responseCode,
    reason: undefined,
    approvalCode: approved ? 'A1B2C3' : undefined,
    approved: 700,
    balances: undefined,
    ofEntitlement: false,
    billed: undefined,
    triesLeft: undefined,
    cover: undefined,
    rrn: message.text(37),
    replayed: false,
  })
  if (!encoded.ok) throw new Error(encoded.error.path)
  return encoded.bytes
}

function sparse(fields: Readonly<Record<number, string>>): (string | undefined)[] {
  const values: (string | undefined)[] = []
  for (const [de, text] of Object.entries(fields)) values[Number(de)] = text
  return values
}
