import { describe, expect, it } from 'vitest'
import { createLogger, type LogFields, type Logger } from '../src/log.ts'

function collect(level = 'debug'): { log: Logger; lines: () => Record<string, unknown>[]; text: () => string } {
  let text = ''
  const log = createLogger(level, {
    write: (line) => {
      text += line
    },
  })
  const lines = (): Record<string, unknown>[] =>
    text
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { log, lines, text: () => text }
}

const PAN = '4111111111111111'

describe('the log', () => {
  it('writes every field of the list', () => {
    const { log, lines } = collect()
    const fields: Required<LogFields> = {
      link: 'atm',
      remote: '127.0.0.1',
      reason: 'idle',
      error: 'Error: no',
      port: 8583,
      epoch: 3,
      shard: 0,
      count: 12,
      kcv: 'A1B2C3',
      terminalId: 'POS00001',
      key: 'zpk.atm',
      stage: 'decide',
      elapsedMs: 1.5,
      path: 'DE 4',
      offset: 20,
      worker: 2,
      pid: 4711,
      delayMs: 200,
    }
    log.warn(fields, 'said')
    expect(lines()).toEqual([{ level: 40, time: expect.any(Number) as number, msg: 'said', ...fields }])
  })

  it('leaves out what is not on the list, however it came there', () => {
    const { log, lines } = collect()
    const rest = { pan: PAN, err: new Error(PAN), req: { body: PAN }, msg: PAN, level: 10, __proto__: { track: PAN } }
    log.error({ count: 1, ...rest }, 'said')
    expect(lines()).toEqual([{ level: 50, time: expect.any(Number) as number, msg: 'said', count: 1 }])
  })

  it('leaves out a value of another type than the field has', () => {
    const { log, lines } = collect()
    const wrong = { reason: { pan: PAN }, error: [PAN], count: PAN, link: new Error(PAN) } as unknown as LogFields
    log.info(wrong, 'said')
    log.info(PAN as unknown as LogFields, 'said')
    log.info(null as unknown as LogFields, 'said')
    for (const line of lines()) expect(line).toEqual({ level: 30, time: expect.any(Number) as number, msg: 'said' })
    expect(lines()).toHaveLength(3)
  })

  it('hides what can be a card number or a national ID in a text, and no other numbers', () => {
    const { log, lines } = collect()
    log.warn({ error: `invalid input: "${PAN}"`, reason: '28005170312345' }, `card ${PAN};${PAN} at 1795721112345, STAN 000123`)
    expect(lines()).toMatchObject([
      {
        error: 'invalid input: "411111******1111"',
        reason: '**********2345',
        msg: 'card 411111******1111;411111******1111 at 1795721112345, STAN 000123',
      },
    ])
  })

  it('does not take its message for a format', () => {
    const { log, text } = collect()
    ;(log.warn as (fields: LogFields, message: string, more: unknown) => void)({}, 'said %s %j', { pan: PAN })
    expect(text()).toContain('said %s %j')
    expect(text()).not.toContain(PAN)
  })

  it('writes nothing below its level', () => {
    const { log, lines } = collect('warn')
    log.debug({}, 'no')
    log.info({}, 'no')
    log.warn({}, 'yes')
    expect(lines()).toMatchObject([{ msg: 'yes' }])
  })
})
