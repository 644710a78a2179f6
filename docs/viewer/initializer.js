// Shows docs/openapi.yaml in Swagger UI, with "Try it out" working against this very server: the CSRF token goes along, and a sign-in
// signs the page in.
'use strict';

const cookie = (name) => (document.cookie.match(`(?:^|; )${name}=([^;]*)`) ?? [])[1];
const isChange = (method) => !['GET', 'HEAD', 'OPTIONS'].includes((method ?? 'GET').toUpperCase());
const endsWith = (url, path) => new URL(url, location.href).pathname === path;

// The scheme that the document's operations name for `Authorization: Bearer ...`.
function bearerScheme(ui) {
  const schemes = ui.specSelectors.specJson().getIn(['components', 'securitySchemes'])?.toJS() ?? {};
  return Object.keys(schemes).find((name) => schemes[name].type === 'http' && schemes[name].scheme?.toLowerCase() === 'bearer');
}

function takeToken(response) {
  const token = response.ok && endsWith(response.url, '/api/auth/sign-in') ? JSON.parse(response.text).accessToken : undefined;
  const scheme = token && bearerScheme(ui);
  if (scheme) ui.preauthorizeApiKey(scheme, token);
}

const ui = SwaggerUIBundle({
  url: 'openapi.yaml',
  dom_id: '#viewer',
  deepLinking: true,
  filter: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  requestInterceptor(request) {
    request.credentials = 'same-origin';
    const token = cookie('XSRF-TOKEN');
    if (token && isChange(request.method)) request.headers['X-XSRF-TOKEN'] = token;
    return request;
  },
  responseInterceptor(response) {
    takeToken(response);
    return response;
  },
});
