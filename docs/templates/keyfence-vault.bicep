// A vault with purge protection, a key that wraps volume keys, and what keyfence needs to use it.
//
//   az deployment group create --resource-group GROUP --template-file keyfence-vault.bicep \
//     --parameters vaultName=VAULT principalId=$(az vm identity show --resource-group GROUP \
//       --name VM --query principalId --output tsv)
//
// Then: keyfence check KEY, with the key that is printed as the output keyUrl.

@description('The name of the vault: 3 to 24 letters, digits and hyphens, not taken by anyone.')
@minLength(3)
@maxLength(24)
param vaultName string

@description('The name of the key.')
param keyName string = 'keyfence'

@description('Object id of the managed identity or service principal that serves volumes.')
param principalId string

@description('Object id of who creates and rewraps volumes; empty: the same as principalId.')
param creatorPrincipalId string = ''

@description('Where the vault is: where the data is.')
param location string = resourceGroup().location

@description('premium keeps the key in an HSM.')
@allowed([
  'standard'
  'premium'
])
param sku string = 'standard'

@description('RSA key size in bits.')
@allowed([
  2048
  3072
  4096
])
param keySize int = 3072

@description('Days between two versions of the key; volumes that exist need the old ones.')
@minValue(28)
param rotationDays int = 365

@description('Addresses (CIDR) that may reach the vault; empty: all networks.')
param allowedAddresses array = []

// The built-in role: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security
var encryptionUser = 'e147488a-f6f5-4113-8e2d-b22465e65bf6' // Key Vault Crypto Service Encryption User
// It is the least of the built-in roles that unwraps (it wraps, too): `keyfence policy` prints a role
// for running that does nothing else.

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: vaultName
  location: location
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: sku
    }
    enableRbacAuthorization: true
    // Both can't be turned off again: a deleted key can be recovered for 90 days, and nobody can
    // destroy it, and with it every volume, before.
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    networkAcls: {
      bypass: 'None'
      defaultAction: empty(allowedAddresses) ? 'Allow' : 'Deny'
      ipRules: [for address in allowedAddresses: {
        value: address
      }]
    }
  }
}

resource key 'Microsoft.KeyVault/vaults/keys@2023-07-01' = {
  parent: vault
  name: keyName
  properties: {
    kty: sku == 'premium' ? 'RSA-HSM' : 'RSA'
    keySize: keySize
    keyOps: [
      'wrapKey'
      'unwrapKey'
    ]
    attributes: {
      enabled: true
    }
    rotationPolicy: {
      lifetimeActions: [
        {
          trigger: {
            timeAfterCreate: 'P${rotationDays}D'
          }
          action: {
            type: 'rotate'
          }
        }
      ]
    }
  }
}

resource running 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(key.id, principalId, encryptionUser)
  scope: key
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', encryptionUser)
  }
}

resource creating 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(creatorPrincipalId) && creatorPrincipalId != principalId) {
  name: guid(key.id, creatorPrincipalId, encryptionUser)
  scope: key
  properties: {
    principalId: creatorPrincipalId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', encryptionUser)
  }
}

output keyUrl string = key.properties.keyUri
