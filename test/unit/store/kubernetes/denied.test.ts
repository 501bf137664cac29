import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoraxError } from '#src/errors.js';
import { ApiError } from '#src/store/kubernetes/api.js';
import { isDenied } from '#src/store/kubernetes/store.js';

const unanswered = (code: string) => new ApiError(0, code, { cause: Object.assign(new Error(code), { code }) });

test('what waiting does not mend is told from what it may', () => {
  const cases: ReadonlyArray<readonly [unknown, boolean]> = [
    [new ApiError(401, 'Unauthorized'), true],
    [new ApiError(403, 'Forbidden'), true],
    [unanswered('CERT_HAS_EXPIRED'), true],
    [unanswered('DEPTH_ZERO_SELF_SIGNED_CERT'), true],
    [unanswered('SELF_SIGNED_CERT_IN_CHAIN'), true],
    [unanswered('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), true],
    [unanswered('ERR_TLS_CERT_ALTNAME_INVALID'), true],
    [unanswered('ECONNREFUSED'), false],
    [unanswered('UND_ERR_HEADERS_TIMEOUT'), false],
    [new ApiError(0, 'no cause'), false],
    [new ApiError(404, 'Not Found'), false],
    [new ApiError(503, 'Service Unavailable'), false],
    [new CoraxError('CORAX_STORE', 'the kubeconfig cannot be used'), false],
    [new Error('CERT'), false],
    [null, false],
  ];
  for (const [error, denied] of cases) assert.equal(isDenied(error), denied, String(error));
});
