// Shows docs/openapi.yaml in Swagger UI, with "Try it out" working against this very server: the CSRF token goes along, and signing in,
// refreshing and signing out do so for the page as well.
'use strict';

const cookie = (name) => (document.cookie.match(`(?:^|; )${name}=([^;]*)`) ?? [])[1];
const isWrite = (method) => !['GET', 'HEAD', 'OPTIONS'].includes((method ?? 'GET').toUpperCase());

// The scheme by which the document's operations ask for `Authorization: Bearer ...`.
function bearerScheme() {
  const schemes = ui.specSelectors.specJson().getIn(['components', 'securitySchemes'])?.toJS() ?? {};
  return Object.entries(schemes).find(([, scheme]) => scheme.type === 'http' && scheme.scheme?.toLowerCase() === 'bearer');
}

function followSession(response) {
  const [name, schema] = (response.ok && bearerScheme()) || [];
  const path = new URL(response.url, location.href).pathname;
  if (!name) return;
  if (path === '/api/auth/sign-in' || path === '/api/auth/refresh') {
    const value = JSON.parse(response.text).accessToken;
    ui.authActions.authorizeWithPersistOption({ [name]: { name, schema, value } });
  } else if (path === '/api/auth/sign-out') {
    ui.authActions.logoutWithPersistOption([name]);
  }
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
    if (token && isWrite(request.method)) request.headers['X-XSRF-TOKEN'] = token;
    return request;
  },
  responseInterceptor(response) {
    followSession(response);
    return response;
  },
});
