/** Decode and encode alone: a purchase's request and its answer, as the switch handles them, in each dialect. */
import { decode } from '../../src/iso8583/decode.ts'
import type { Message } from '../../src/iso8583/message.ts'
import { messageSpec, SPEC_NAMES, type MessageSpec } from '../../src/iso8583/messageSpec.ts'
import { answerTo } from '../../src/response/answer.ts'
import { demoTerminal } from '../../src/programme/demo.ts'
import { MomentSource } from './moment.ts'
import type { StageMeasure } from './stage.ts'
import { MessageTemplate, PanTable } from './template.ts'

/** Messages that are decoded one after the other: enough that they are not one message over and over. */
const MESSAGES = 256

export function codecStages(): StageMeasure[] {
  return SPEC_NAMES.flatMap((name) => {
    const spec = messageSpec(name)
    const frames = requests(spec)
    const messages = frames.map((frame) => decoded(spec, frame))
    return [
      {
        stage: 'decode',
        variant: name,
        run: async (forMs) => repeat(forMs, frames, (frame) => readRequest(decoded(spec, frame))),
      },
      { stage: 'encode', variant: name, run: async (forMs) => repeat(forMs, messages, writeAnswer) },
    ]
  })
}

function requests(spec: MessageSpec): Buffer[] {
  const template = new MessageTemplate(spec, new PanTable(spec, MESSAGES), 'purchase', demoTerminal('pos'))
  const moment = new MomentSource().at(Date.now())
  return Array.from({ length: MESSAGES }, (_, i) =>
    template.message({ household: i + 1, amount: 100 + i, loaves: 0, stan: i + 1, moment, original: undefined }),
  )
}

function decoded(spec: MessageSpec, frame: Buffer): Message {
  const result = decode(spec, frame)
  if (!result.ok) throw new Error(`decode refuses a purchase: ${result.error.path}`)
  return result.message
}

/** Field text is made when it is read; these are what classification reads of a purchase. */
const READ = [2, 3, 4, 7, 11, 32, 37, 41, 42, 49]

function readRequest(message: Message): void {
  for (const de of READ) if (message.text(de) === '') throw new Error('a purchase has no empty field')
}

function writeAnswer(message: Message): void {
  const answer = answerTo(message, {
    responseCode: '00',
    reason: undefined,
    approvalCode: 'A1B2C3',
    approved: 100,
    balances: undefined,
    ofEntitlement: false,
    billed: undefined,
    triesLeft: undefined,
    cover: undefined,
    rrn: message.text(37),
    replayed: false,
  })
  if (!answer.ok) throw new Error(`encode refuses an answer: ${answer.error.path}`)
}

function repeat<T>(forMs: number, values: readonly T[], work: (value: T) => void): number {
  const endMs = performance.now() + forMs
  let done = 0
  do {
    for (const value of values) work(value)
    done += values.length
  } while (performance.now() < endMs)
  return done
}
