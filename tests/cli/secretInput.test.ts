import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { bytesOfHex, questions, type Questions } from '../../src/cli/secretInput.ts'
import { UsageError } from '../../src/cli/usageError.ts'

interface Asked {
  readonly ask: Questions
  readonly input: PassThrough
  readonly rawModes: boolean[]
  readonly shown: () => string
}

function asked(typed: readonly string[], isTTY: boolean): Asked {
  const input = new PassThrough()
  for (const chunk of typed) input.write(chunk)
  const output = new PassThrough()
  const rawModes: boolean[] = []
  const terminal = Object.assign(input, { isTTY, setRawMode: (raw: boolean) => rawModes.push(raw) })
  return { ask: questions(terminal, output), input, rawModes, shown: () => String(output.read() ?? '') }
}

describe('from a terminal', () => {
  test('a secret is not echoed: the terminal is raw until an answer is asked for', async () => {
    const { ask, rawModes, shown } = asked(['01', '23\r', 'yes\n'], true)
    expect((await ask.secret('component: ')).toString()).toBe('0123')
    expect(rawModes).toEqual([true])
    expect(await ask.answer('right? ')).toBe('yes')
    expect(rawModes).toEqual([true, false])
    expect(shown()).toBe('component: \nright? ')
    ask.close()
    expect(rawModes).toEqual([true, false])
  })

  test('is raw before it is prompted, and between two secrets', async () => {
    const { ask, rawModes, shown } = asked(['01\r23\r'], true)
    const first = ask.secret('component: ')
    expect([rawModes.join(), shown()]).toEqual(['true', 'component: '])
    await first
    expect((await ask.secret('component: ')).toString()).toBe('23')
    expect(rawModes).toEqual([true])
  })

  test('takes digits back', async () => {
    const { ask } = asked(['01x\u007f\u00082\r'], true)
    expect((await ask.secret('')).toString()).toBe('02')
    const { ask: more } = asked(['\u007f\u007fA\r'], true)
    expect((await more.secret('')).toString()).toBe('A')
  })

  test.each(['01\u0003', '\u0004'])('ends with %j, and the terminal is as before', async (typed) => {
    const { ask, rawModes } = asked([typed], true)
    await expect(ask.secret('')).rejects.toThrow(UsageError)
    ask.close()
    expect(rawModes).toEqual([true, false])
  })
})

describe('from lines', () => {
  test('they are read one by one, whatever their ends, and nothing is prompted', async () => {
    const { ask, input, rawModes, shown } = asked(['01', '23\r\n45', '\n67'], false)
    input.end()
    expect((await ask.secret('component: ')).toString()).toBe('0123')
    expect((await ask.secret('component: ')).toString()).toBe('45')
    expect(await ask.answer('right? ')).toBe('67')
    await expect(ask.secret('')).rejects.toThrow('a line is missing')
    expect([rawModes, shown()]).toEqual([[], ''])
  })

  test('one that is too long is refused', async () => {
    await expect(asked(['0'.repeat(600) + '\n'], false).ask.secret('')).rejects.toThrow('too long')
  })
})

describe('hexadecimal', () => {
  test.each([
    ['0123abCD', '0123abcd'],
    ['01 2 3  ab', '0123ab'],
    [' ff ', 'ff'],
  ])('%j is bytes', (text, expected) => {
    expect(bytesOfHex(Buffer.from(text))?.toString('hex')).toBe(expected)
  })

  test.each(['', ' ', '0', '012', '0g', '0x01', '01\t02', '01-02', 'ＦＦ'])('%j is none', (text) => {
    expect(bytesOfHex(Buffer.from(text))).toBeUndefined()
  })

  test('every character that is a digit has its value, and no other has one', () => {
    for (let code = 0; code < 256; code++) {
      const character = String.fromCharCode(code)
      const expected = /^[0-9a-f]$/i.test(character) ? Buffer.from(`0${character}`, 'hex') : undefined
      expect(bytesOfHex(Buffer.from([0x30, code]))).toEqual(character === ' ' ? undefined : expected)
    }
  })
})
