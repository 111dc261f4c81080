"""Every address of the house. Each app writes its own full paths; here they are put in order."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from oauth2_provider.views import RevokeTokenView

from config import health
from governance.views.oauth import Authorize, Token
from governance.views.second_factor import to_sign_in

# Only what a phone needs of the OAuth server: no client is made, no token looked into, over the web.
OAUTH = [
    path("authorize/", Authorize.as_view(), name="authorize"),
    path("token/", Token.as_view(), name="token"),
    path("revoke_token/", RevokeTokenView.as_view(http_method_names=["post"]), name="revoke-token"),
]
READ = ["get", "head"]
APPS_WITH_PAGES = ("edge_wearables", "care_loops", "models.registry", "governance")

urlpatterns: list[URLPattern | URLResolver] = [
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", health.metrics, name="metrics"),
    path("api/schema/", SpectacularAPIView.as_view(http_method_names=READ), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema", http_method_names=READ), name="api-docs"),
    path("admin/login/", to_sign_in),
    path("admin/", admin.site.urls),
    path("o/", include((OAUTH, "oauth2_provider"))),
    *(path("", include(f"{app}.urls")) for app in APPS_WITH_PAGES if find_spec(f"{app}.urls")),
]

handler500 = "config.failing.failed"
