import { describe, expect, it } from 'vitest'
import { AnswerReader } from '../../../benchmarks/support/answerReader.ts'
import { MESSAGE_KINDS } from '../../../benchmarks/support/mix.ts'
import { MomentSource } from '../../../benchmarks/support/moment.ts'
import { MessageTemplate, PanTable } from '../../../benchmarks/support/template.ts'
import { ACQUIRER, SHAPES, transactionMessage } from '../../../src/cli/transactionMessage.ts'
import { decode } from '../../../src/iso8583/decode.ts'
import { encode } from '../../../src/iso8583/encode.ts'
import type { Message } from '../../../src/iso8583/message.ts'
import { messageSpec, SPEC_NAMES, type MessageSpec } from '../../../src/iso8583/messageSpec.ts'
import { minorUnits } from '../../../src/money.ts'
import { demoPan, demoTerminal } from '../../../src/programme/demo.ts'
import { answerTo } from '../../../src/response/answer.ts'

const HOUSEHOLDS = 60
const NOW_MS = Date.parse('2026-11-22T09:05:07.123Z')

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
    const terminal = demoTerminal(SHAPES[kind].terminalClass)
    const follows = kind === 'complete' || kind === 'reversal'
    const amount = kind === 'balance' ? 0 : 123_456
    const { mti, fields } = transactionMessage(kind, {
      nowMs: NOW_MS,
      stan: '004711',
      pan: demoPan(42),
      terminalId: terminal.terminalId,
      acceptorId: terminal.acceptorId,
      merchantCategory: terminal.category,
      amount: minorUnits(amount),
      rrn: undefined,
      approvalCode: undefined,
      partial: false,
      original: follows
        ? {
            mti: kind === 'complete' ? '0100' : '0200',
            processingCode: '000000',
            stan: '004710',
            transmissionTime: '1122090506',
            acquirerId: ACQUIRER,
          }
        : undefined,
      finalAmount: undefined,
    })
    const encoded = encode(spec, mti, fields)
    const bytes = new MessageTemplate(spec, pans, kind, terminal).message({
      household: 42,
      amount,
      stan: 4711,
      moment,
      original: follows ? { stan: 4710, transmission: 1_122_090_506 } : undefined,
    })
    expect(encoded).toEqual({ ok: true, bytes })
  })

  it('two messages of a template share no memory', () => {
    const template = new MessageTemplate(spec, pans, 'purchase', demoTerminal('pos'))
    const values = { household: 21, amount: 100, moment, original: undefined }
    const first = template.message({ ...values, stan: 1 })
    template.message({ ...values, stan: 2 })
    expect(read(spec, first).text(11)).toBe('000001')
  })

  it('answers are read alike whether their layout was learnt just now or before', () => {
    const reader = new AnswerReader(spec)
    const template = new MessageTemplate(spec, pans, 'purchase', demoTerminal('pos'))
    for (const [index, responseCode] of ['00', '00', '51', '00', '51', '10'].entries()) {
      const stan = 999_990 + index
      const request = template.message({ household: 30 + index, amount: 700, stan, moment, original: undefined })
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
    const template = new MessageTemplate(spec, pans, 'reversal', demoTerminal('pos'))
    const original = { stan: 1, transmission: 1_122_090_506 }
    const request = template.message({ household: 30, amount: 700, stan: 2, moment, original })
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
