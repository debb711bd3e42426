"""What a self-hosted server refuses without a licence: organization keys, SCIM, the admin's organizations.

The embedded engine has no licence to buy. It answers as an unlicensed server does, so that a script that
fails there fails here too.
"""

from __future__ import annotations

from starlette.responses import Response

from langfuse_embedded.http.access import Access, ErrorStyle
from langfuse_embedded.http.json_answers import json_response

from .call import Call
from .operations import Operation

_NO_PLAN = {"error": "This feature is not available on your current plan."}

# method, path below /api/public, operation id
_ORGANIZATION_OPERATIONS = (
    ("POST", "projects", "projects_create"),
    ("PUT", "projects/{projectId}", "projects_update"),
    ("DELETE", "projects/{projectId}", "projects_delete"),
    ("GET", "projects/{projectId}/apiKeys", "projects_getApiKeys"),
    ("POST", "projects/{projectId}/apiKeys", "projects_createApiKey"),
    ("DELETE", "projects/{projectId}/apiKeys/{apiKeyId}", "projects_deleteApiKey"),
    ("GET", "projects/{projectId}/memberships", "organizations_getProjectMemberships"),
    ("PUT", "projects/{projectId}/memberships", "organizations_updateProjectMembership"),
    ("DELETE", "projects/{projectId}/memberships", "organizations_deleteProjectMembership"),
    ("GET", "organizations/projects", "organizations_getOrganizationProjects"),
    ("GET", "organizations/apiKeys", "organizations_getOrganizationApiKeys"),
    ("GET", "organizations/memberships", "organizations_getOrganizationMemberships"),
    ("PUT", "organizations/memberships", "organizations_updateOrganizationMembership"),
    ("DELETE", "organizations/memberships", "organizations_deleteOrganizationMembership"),
    ("GET", "scim/ServiceProviderConfig", "scim_getServiceProviderConfig"),
    ("GET", "scim/ResourceTypes", "scim_getResourceTypes"),
    ("GET", "scim/Schemas", "scim_getSchemas"),
    ("GET", "scim/Users", "scim_listUsers"),
    ("POST", "scim/Users", "scim_createUser"),
    ("GET", "scim/Users/{userId}", "scim_getUser"),
    ("PUT", "scim/Users/{userId}", ""),
    ("PATCH", "scim/Users/{userId}", ""),
    ("DELETE", "scim/Users/{userId}", "scim_deleteUser"),
    ("GET", "integrations/blob-storage", "blobStorageIntegrations_getBlobStorageIntegrations"),
    ("PUT", "integrations/blob-storage", "blobStorageIntegrations_upsertBlobStorageIntegration"),
    ("GET", "integrations/blob-storage/{id}", "blobStorageIntegrations_getBlobStorageIntegrationStatus"),
    ("DELETE", "integrations/blob-storage/{id}", "blobStorageIntegrations_deleteBlobStorageIntegration"),
)

_ADMIN_OPERATIONS = (
    ("GET", "organizations"),
    ("POST", "organizations"),
    ("GET", "organizations/{organizationId}"),
    ("PUT", "organizations/{organizationId}"),
    ("DELETE", "organizations/{organizationId}"),
    ("GET", "organizations/{organizationId}/apiKeys"),
    ("POST", "organizations/{organizationId}/apiKeys"),
    ("DELETE", "organizations/{organizationId}/apiKeys/{apiKeyId}"),
)


def _style(path: str) -> ErrorStyle:
    if path.startswith("scim/"):
        return ErrorStyle.SCIM
    if path.startswith("integrations/"):
        return ErrorStyle.NAMED
    is_about_organizations = path.startswith("organizations/") or path.endswith("/memberships")
    return ErrorStyle.ERROR if is_about_organizations else ErrorStyle.MESSAGE


async def _refuse(call: Call) -> Response:
    return json_response(_NO_PLAN, 403)


OPERATIONS = [
    *(
        Operation(
            method,
            f"/api/public/{path}",
            _refuse,
            operation_id,
            Access.ORGANIZATION,
            errors=_style(path),
        )
        for method, path, operation_id in _ORGANIZATION_OPERATIONS
    ),
    *(
        Operation(method, f"/api/admin/{path}", _refuse, access=Access.ADMIN, errors=ErrorStyle.ERROR)
        for method, path in _ADMIN_OPERATIONS
    ),
]
