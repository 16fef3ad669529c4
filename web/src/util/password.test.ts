import { expect, test } from 'vitest'
import { strength } from './password'

test('a short password is too short whatever is in it', () => {
  expect(strength('aB3$x').score).toBe(0)
})

test('what repeats is weak though it is long', () => {
  expect(strength('aaaaaaaaaaaaaaaaaaaa').score).toBe(1)
})

test('what is tried first is weaker than its length says', () => {
  expect(strength('password12345').score).toBe(1)
})

test('a sentence is strong', () => {
  expect(strength('correct horse battery staple').score).toBe(4)
})
